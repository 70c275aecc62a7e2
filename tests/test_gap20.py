"""The comparison with published numbers of GAP-20 runs from end to end on other data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "gap20"
KEYS = {"parameters", "dtype", "versions", "device", "entropies", "names", "overlaps", "correlations"}


def test_the_smoke_version_runs(tmp_path: Path) -> None:
    if not FOLDER.exists():
        pytest.skip("no experiment beside these tests")
    command = [sys.executable, str(FOLDER / "run.py"), "--smoke", "--output", str(tmp_path / "results.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results.keys() >= KEYS
    assert (tmp_path / "figure.png").stat().st_size > 0
    for found in results["entropies"].values():
        assert 0 < found["entropy"] < found["max_entropy"]
    assert [row[i] for i, row in enumerate(results["overlaps"])] == [100.0] * len(results["names"])


def test_the_readme_says_what_the_results_say() -> None:
    """Entropies in the README are those of results.json."""
    results = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, found in results["entropies"].items():
        assert f"| {name} | {found['n_environments']:,} |" in readme
        assert f" {found['entropy']:.3f} |" in readme
