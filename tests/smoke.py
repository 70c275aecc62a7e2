"""The small version of an experiment, run by the command of its README."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


class Smoke(NamedTuple):
    results: dict[str, Any]
    printed: str
    folder: Path


def run_smoke(name: str, folder: Path) -> Smoke:
    """Run an experiment into a folder; skip without experiments."""
    run, output = EXPERIMENTS / name / "run.py", folder / "results.json"
    if not EXPERIMENTS.exists():
        pytest.skip("no experiments beside these tests")
    done = subprocess.run(
        [sys.executable, str(run), "--smoke", "--output", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Smoke(json.loads(output.read_text(encoding="utf-8")), done.stdout, folder)
