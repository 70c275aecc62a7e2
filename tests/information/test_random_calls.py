"""A few of the random calls of the campaign, see `tests/campaigns/information_fuzz.py`."""

from __future__ import annotations

import pytest
from campaigns.information_fuzz import campaign


def test_random_calls_are_right_or_refused():
    """Of both dtypes in one campaign: some calls of float64 are computed in float32, by the same programs."""
    wrong: list[str] = []
    count = campaign("sums", range(160), wrong.append, {3: 1.0}, {"float64": 0.5, "float32": 0.5}, ("tiles",))
    assert not count["wrong"], wrong
    assert count["right"] > 48
    assert count["refused"] > 8


@pytest.mark.slow
@pytest.mark.parametrize(("family", "calls"), [("gradients", 30), ("estimates", 60), ("covers", 40)])
def test_random_calls_of_what_is_made_of_sums_are_right_or_refused(family, calls):
    wrong: list[str] = []
    count = campaign(family, range(calls), wrong.append, dtypes={"float64": 1.0}, ways=("dense",))
    assert not count["wrong"], wrong
    assert count["right"] > 10
