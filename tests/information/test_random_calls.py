"""A few of the random calls of the campaign, see `tests/campaigns/information_fuzz.py`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaigns" / "information_fuzz.py"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_random_calls_are_right_or_refused(dtype):
    spec = importlib.util.spec_from_file_location("information_fuzz", CAMPAIGN)
    assert spec is not None
    assert spec.loader is not None
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    wrong: list[str] = []
    count = fuzz.campaign(range(0, 60, 2), wrong.append, {3: 1.0}, {dtype: 1.0})  # by tiles
    assert not count["wrong"], wrong
    assert count["right"] > 15
    assert count["refused"] > 2
