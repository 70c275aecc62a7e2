"""The benchmarks run from end to end on tiny data, and their results say what they must."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from statistics import median
from typing import Any

import jax
import pytest
from smoke import EXPERIMENTS, Smoke, run_smoke

CASES = {"descriptors", "entropy", "scaling", "delta entropy", "gradient", "msc", "reading and descriptors"}


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    return run_smoke("benchmarks", tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture
def results(smoke: Smoke) -> dict[str, Any]:
    return smoke.results


def test_the_results_say_how_they_were_made(results: dict[str, Any]) -> None:
    assert results["smoke"]
    assert results["source"] == "generated"
    assert isinstance(results["seed"], int)
    assert {"backend", "devices", "cores", "processor"} <= results["device"].keys()
    assert {"quests_jax", "jax", "jaxlib", "numpy", "python"} <= results["versions"].keys()
    for rates in results["roofline"].values():
        assert min(rates["products_per_second"], rates["exps_per_second"]) > 0


def test_every_case_is_measured(results: dict[str, Any]) -> None:
    assert {record["case"] for record in results["records"]} >= CASES | {"command line"}


def test_every_contender_has_its_times(results: dict[str, Any]) -> None:
    for record in results["records"]:
        for taken in record["contenders"].values():
            assert min(taken["seconds"]) > 0
            assert taken["median"] == median(taken["seconds"])


def test_ratios_are_those_of_the_medians(results: dict[str, Any]) -> None:
    for record in results["records"]:
        times = {name: taken["median"] for name, taken in record["contenders"].items()}
        for name, ratio in record["ratios"].items():
            a, b = name.split(" / ")
            assert ratio == times[a] / times[b]


def test_contenders_compute_the_same(results: dict[str, Any]) -> None:
    for record in results["records"]:
        if record["case"] in ("entropy", "scaling"):
            values = [taken["value"] for taken in record["contenders"].values() if "value" in taken]
            assert values == pytest.approx([values[0]] * len(values), abs=1e-5)
            assert len(values) > 2


def test_processes_tell_their_memory(results: dict[str, Any]) -> None:
    (record,) = (record for record in results["records"] if record["case"] == "command line")
    for taken in record["contenders"].values():
        assert 1e7 < taken["peak_bytes"] < 1e10


def test_the_summary_holds_ratios_and_no_times(smoke: Smoke, results: dict[str, Any]) -> None:
    _, printed, folder = smoke
    assert (folder / "figure.png").stat().st_size > 0
    for record in results["records"]:
        for name, ratio in record["ratios"].items():
            assert any(name in line and f"{ratio:.2f}" in line for line in printed.splitlines())
    assert "seconds" not in printed


def test_what_is_measured_on_a_device_runs_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, output = EXPERIMENTS / "benchmarks", tmp_path / "device.json"
    if not folder.exists():
        pytest.skip("no experiments beside these tests")
    monkeypatch.syspath_prepend(str(folder))
    main = runpy.run_path(str(folder / "device.py"))["main"]
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        main(["--smoke", "--output", str(output)])
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["same choice"]
    assert found["left out"] == []
    assert max(found["errors"].values()) < 2e-5
    cases = {record["case"]: record for record in found["records"]}
    assert cases.keys() >= {"entropy", "gradient of the entropy", "delta entropies", "masses at targets"}
    assert cases.keys() >= {
        "descriptors of one call",
        "neighbors and descriptors",
        "msc",
        "greedy",
        "relaxed",
    }
    assert all(record.get("predicted", 1.0) > 0 for record in found["records"])
