"""The command line called from within the tests' own process, in a folder that holds data.xyz."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import pytest
from ase.build import bulk

from quests_jax.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Outcome]

STRUCTURES = [bulk("Cu", cubic=True) for _ in range(8)]
for number, structure in enumerate(STRUCTURES):
    structure.rattle(0.05 * (1 + number % 3), seed=number)
    structure.positions = structure.positions.round(8)  # what extended xyz keeps
    structure.info["number"] = number


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in a folder that holds data.xyz."""
    monkeypatch.chdir(tmp_path)
    ase.io.write("data.xyz", STRUCTURES, format="extxyz")

    def run(*arguments: str) -> Outcome:
        code = main(arguments)
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run


def json_of(outcome: Outcome) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out, parse_constant=refuse)
