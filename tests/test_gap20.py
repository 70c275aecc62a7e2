"""The comparison with published numbers of GAP-20 runs from end to end on other data."""

from __future__ import annotations

import json
from pathlib import Path

from smoke import EXPERIMENTS, run_smoke

FOLDER = EXPERIMENTS / "gap20"
KEYS = {"parameters", "dtype", "versions", "device", "entropies", "names", "overlaps", "correlations"}


def test_the_smoke_version_runs(tmp_path: Path) -> None:
    results, _, _ = run_smoke("gap20", tmp_path)
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
