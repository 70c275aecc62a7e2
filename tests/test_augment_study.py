"""The study of generation runs from end to end on the bundled data."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from smoke import EXPERIMENTS, run_smoke

RUN = EXPERIMENTS / "augment" / "run.py"


def test_the_smoke_version_runs(tmp_path: Path) -> None:
    results, printed, _ = run_smoke("augment", tmp_path)
    assert results.keys() >= {"seeds", "starts", "target", "parameters", "dtype", "device", "versions"}
    climbed = [row for row in results["rows"] if row["method"] == "gradient"]
    assert len(climbed) == 2
    for row in climbed:
        assert row["landed"] is not None
        assert row["shortest"] >= row["closest"]
    assert "takes" in printed
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_the_readme_says_what_the_results_say() -> None:
    if not RUN.exists():
        pytest.skip("no experiment beside these tests")
    spec = importlib.util.spec_from_file_location("augment_figure", RUN.with_name("figure.py"))
    assert spec is not None
    assert spec.loader is not None
    figure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figure)
    results = json.loads(RUN.with_name("results.json").read_text(encoding="utf-8"))
    assert figure.text(results) in RUN.with_name("README.md").read_text(encoding="utf-8")
    for row in results["rows"]:
        if row["method"] == "gradient":
            assert row["landed"] is not None
            assert row["shortest"] >= row["closest"]
