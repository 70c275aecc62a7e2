"""The study of generation runs from end to end on the bundled data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[1] / "experiments" / "augment" / "run.py"


def test_the_smoke_version_runs(tmp_path: Path) -> None:
    if not RUN.exists():
        pytest.skip("no experiment beside these tests")
    command = [sys.executable, str(RUN), "--smoke", "--output", str(tmp_path / "results.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results.keys() >= {"seeds", "starts", "target", "parameters", "dtype", "device", "versions"}
    climbed = [row for row in results["rows"] if row["method"] == "gradient"]
    assert len(climbed) == 4
    for row in climbed:
        assert row["landed"] is not None
        assert row["shortest"] >= row["closest"]
    assert "takes" in done.stdout
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"
