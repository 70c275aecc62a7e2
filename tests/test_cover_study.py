"""The study of covers runs from end to end on a part of the bundled data, and can be run again."""

from __future__ import annotations

import pytest
from smoke import Smoke, run_smoke

from quests_jax.base.json_values import as_rows


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    return run_smoke("cover_study", tmp_path_factory.mktemp("study"))


def test_results_say_how_they_were_made(smoke):
    results, _, folder = smoke
    assert results["smoke"]
    assert {"quests_jax", "jax", "numpy"} <= results["versions"].keys()
    assert {"bandwidth", "k", "cutoff", "seed"} <= results["parameters"].keys()
    assert (folder / "figure.png").stat().st_size > 0


def test_no_rule_covers_more_than_the_bound(smoke):
    (record,) = smoke.results["records"].values()
    rows = as_rows(record["rows"])
    assert {row["method"] for row in rows} == {"random", "msc", "pareto", "cover", "relaxed"}
    for row in rows:
        assert 0 < row["coverage"] <= row["upper_bound"] + 1e-9


def test_full_covers_are_ordered(smoke):
    (record,) = smoke.results["records"].values()
    cover = record["full_cover"]
    assert cover["linear_bound"] <= cover["capped_bound"] + 1e-6
    assert cover["capped_bound"] - 1e-6 <= cover["proven_bound"] <= cover["exact"] <= cover["greedy"]


def test_the_tables_hold_every_rule(smoke):
    for rule in ("random", "msc", "pareto", "cover", "relaxed"):
        assert f"| {rule} |" in smoke.printed
