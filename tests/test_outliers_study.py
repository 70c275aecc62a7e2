"""The study of planted outliers runs from end to end on parts of the bundled data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[1] / "experiments" / "outliers" / "run.py"


def test_the_smoke_version_runs(tmp_path: Path) -> None:
    if not RUN.exists():
        pytest.skip("no experiment beside these tests")
    command = [sys.executable, str(RUN), "--smoke", "--output", str(tmp_path / "results.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results.keys() >= {"seed", "planted", "top", "parameters", "dtype", "device", "versions"}
    assert (tmp_path / "figure.png").stat().st_size > 0
    for row in results["rows"]:
        for kind in ("foreign", "displaced"):
            assert all(0 <= share <= 1 for share in row[kind].values())
        assert f"| {row['file']} |" in done.stdout
