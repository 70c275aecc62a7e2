"""The page on outputs names every field of the JSON of every command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import Call, call, json_of

__all__ = ["call"]  # the fixture

PAGE = Path(__file__).resolve().parents[1] / "papers" / "docs" / "pages" / "outputs.md"
COMMANDS = (
    "inspect data.xyz",
    "metrics data.xyz",
    "entropy data.xyz",
    "diversity data.xyz",
    "descriptors data.xyz",
    "delta-entropy data.xyz -r data.xyz",
    "overlap data.xyz data.xyz",
    "compress data.xyz -r data.xyz -s 2",
    "compare data.xyz -m msc -m random -s 2",
    "outliers data.xyz",
    "bandwidth data.xyz",
    "learning-curve data.xyz",
    "trajectory data.xyz -r data.xyz",
    "overlap-matrix data.xyz --by number",
    "clean data.xyz",
    "split data.xyz --fractions 0.5,0.5",
    "leakage data.xyz data.xyz",
    "report data.xyz -o page.html",
    "replay data.xyz -r data.xyz -s 2",
    "augment data.xyz -i 0 --target 0.2 --max-steps 5",
)


@pytest.mark.filterwarnings("ignore::UserWarning")  # advice for people
@pytest.mark.parametrize("command", COMMANDS)
def test_every_field_is_explained(call: Call, command: str) -> None:
    explained = set(re.findall(r"`([a-z_0-9]+)`", PAGE.read_text(encoding="utf-8")))
    explained |= {f"{name}_half_width" for name in explained}
    assert json_of(call(*command.split(), "--json")).keys() - explained == set()
