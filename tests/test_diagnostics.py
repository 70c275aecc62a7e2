"""Outliers, bandwidths, learning curves and trajectories from the command line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from command_line import STRUCTURES, Call, call, json_of

from quests_jax.atoms.describe import environments
from quests_jax.information import (
    delta_entropy,
    delta_entropy_of_others,
    diversity,
    entropy,
    gaussian_rule,
    overlap,
)

__all__ = ["call"]  # the fixture


@pytest.fixture
def planted(call: Call) -> Call:
    """Eight rattled crystals and, as structure 8, one with an atom pushed out of its place."""
    odd = bulk("Cu", cubic=True) * 2
    odd.rattle(0.05, seed=1)
    odd.positions[5] += [0.9, 0.7, 0.0]
    ase.io.write("planted.xyz", [*STRUCTURES, odd], format="extxyz")
    return call


# ---- Outliers ----


def test_a_planted_atom_is_the_most_foreign(planted: Call) -> None:
    found = json_of(planted("outliers", "planted.xyz", "-r", "data.xyz", "--json"))
    assert found["structures"][0]["structure"] == 8
    assert found["structures"][0]["max_delta_entropy"] == pytest.approx(max(found["delta_entropy"]))
    assert found["outliers"] == sum(dH > found["threshold"] for dH in found["delta_entropy"])


def test_outliers_against_a_reference_are_delta_entropies(planted: Call) -> None:
    found = json_of(planted("outliers", "planted.xyz", "-r", "data.xyz", "-b", "0.03", "--json"))
    y, x = (environments(ase.io.read(name, ":")).x for name in ("planted.xyz", "data.xyz"))
    np.testing.assert_allclose(found["delta_entropy"], delta_entropy(y, x, bandwidth=0.03), rtol=1e-9)


def test_without_a_reference_the_other_structures_are_it(call: Call) -> None:
    found = json_of(call("outliers", "data.xyz", "--json"))
    envs = environments(ase.io.read("data.xyz", ":"))
    own = np.asarray(envs.structure_id) == 3
    x = np.asarray(envs.x)
    np.testing.assert_allclose(
        np.array(found["delta_entropy"])[own], delta_entropy(x[own], x[~own]), rtol=1e-9
    )


def test_outputs_hold_arrays_of_atoms_and_a_figure(planted: Call) -> None:
    outputs = ("-o", "found.xyz", "-o", "found.png")
    assert planted("outliers", "planted.xyz", "-r", "data.xyz", *outputs).code == 0
    frames = ase.io.read("found.xyz", ":")
    assert frames[8].arrays["outlier"][5] == 1
    assert frames[8].arrays["delta_entropy"].max() > frames[0].arrays["delta_entropy"].max()
    assert Path("found.png").read_bytes()[:4] == b"\x89PNG"


def test_a_viewer_without_chemiscope_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quests_jax.output.chemiscope_files.find_spec", lambda _: None)
    outcome = call("outliers", "data.xyz", "-o", "found.chemiscope.json.gz")
    assert (outcome.code, "quests_jax[viewer]" in outcome.err) == (2, True)
    assert not Path("found.chemiscope.json.gz").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_for_chemiscope_holds_every_environment(planted: Call) -> None:
    pytest.importorskip("chemiscope")
    assert planted("outliers", "planted.xyz", "-r", "data.xyz", "-o", "found.chemiscope.json.gz").code == 0
    found = json.loads(gzip.open("found.chemiscope.json.gz").read())
    x = np.asarray(environments(ase.io.read("planted.xyz", ":")).x)
    reference = environments(ase.io.read("data.xyz", ":")).x
    np.testing.assert_allclose(
        found["properties"]["delta_entropy"]["values"], delta_entropy(x, reference), rtol=1e-9
    )
    assert len(found["environments"]) == len(x)
    first, second = (found["properties"][f"principal component[{i}]"]["values"] for i in (1, 2))
    assert np.var(first) > np.var(second) > np.var(x, axis=0).max() / 63
    np.testing.assert_allclose(np.var(first), np.linalg.norm(x - x.mean(0), 2) ** 2 / len(x), rtol=1e-9)


@pytest.mark.parametrize("quantile", ["0", "1", "-1", "nan"])
def test_quantiles_out_of_range_are_refused(call: Call, quantile: str) -> None:
    outcome = call("outliers", "data.xyz", "-q", quantile)
    assert (outcome.code, "quantile" in outcome.err) == (2, True)


def test_one_structure_has_no_outliers(call: Call) -> None:
    ase.io.write("one.xyz", STRUCTURES[0], format="extxyz")
    assert "one structure" in call("outliers", "one.xyz").err


# ---- Bandwidths, learning curves, trajectories ----


def test_all_rules_give_a_bandwidth(call: Call) -> None:
    found = json_of(call("bandwidth", "data.xyz", "--json", "-o", "rules.png"))
    rules = found["rules"]
    assert rules.keys() == {"volume, gaussian", "volume, cutoff", "novelty", "likelihood", "elbow"}
    volume = STRUCTURES[0].cell.volume / len(STRUCTURES[0])
    assert rules["volume, gaussian"] == pytest.approx(float(gaussian_rule(volume)))
    assert found["recommended"] == rules["novelty"]
    assert min(rules.values()) > 0


def test_a_learning_curve_ends_at_the_entropy(call: Call) -> None:
    found = json_of(call("learning-curve", "data.xyz", "--json", "-o", "curve.png"))
    whole = float(entropy(environments(STRUCTURES).x))
    assert found["entropy"][-1] == pytest.approx(whole, rel=1e-9)
    assert found["sizes"][-1] == 32
    again = json_of(call("learning-curve", "data.xyz", "--json"))
    assert again["entropy"] == found["entropy"]


def test_a_trajectory_is_measured_frame_by_frame(call: Call) -> None:
    found = json_of(call("trajectory", "data.xyz", "-r", "data.xyz", "--json", "-o", "frames.png"))
    x = np.asarray(environments(STRUCTURES[:1]).x)
    first = found["frames"][0]
    assert first["entropy"] == pytest.approx(float(entropy(x)), abs=1e-9)
    assert first["diversity"] == pytest.approx(float(diversity(x)), abs=1e-9)
    assert all(frame["novel"] == 0 for frame in found["frames"])


def test_a_trajectory_says_where_it_leaves_what_a_reference_knows(planted: Call) -> None:
    outcome = planted("trajectory", "planted.xyz", "-r", "data.xyz", "-o", "novel.xyz", "-o", "frames.png")
    text = " ".join(outcome.out.split())
    assert "Frame 8 of planted.xyz is the first that leaves" in text
    assert "1 of 9 frames (11.1 %) lies above" in text
    assert "atom 5 (Cu)" in outcome.out
    novel = ase.io.read("novel.xyz", ":")
    assert [len(atoms) for atoms in novel] == [32]
    assert Path("planted.xyz").read_text().endswith(Path("novel.xyz").read_text())
    found = json_of(planted("trajectory", "planted.xyz", "-r", "data.xyz", "--json"))
    assert (found["first"], found["worst"], found["above"]) == (8, 8, [8])
    assert found["frames"][8]["max_delta_entropy"] > found["threshold"]


def test_frames_are_numbered_as_in_their_file(planted: Call) -> None:
    outcome = planted("trajectory", "planted.xyz@::4", "-r", "data.xyz")
    assert "Frame 8 of planted.xyz is the first" in " ".join(outcome.out.split())
    found = json_of(planted("trajectory", "planted.xyz@::4", "-r", "data.xyz", "--json"))
    assert [frame["frame"] for frame in found["frames"]] == [0, 4, 8]
    assert found["frames"][found["worst"]]["frame"] == 8


def test_the_threshold_of_a_trajectory_is_a_choice_and_a_script_can_ask(planted: Call) -> None:
    frames = ("trajectory", "planted.xyz", "-r", "data.xyz")
    worst = max(frame["max_delta_entropy"] for frame in json_of(planted(*frames, "--json"))["frames"])
    calm = planted(*frames, "--above", str(worst + 1), "-o", "novel.xyz")
    assert "nothing to write to novel.xyz" in calm.out
    assert "All 9 frames stay below" in calm.out
    assert not Path("novel.xyz").exists()
    assert planted(*frames, "--fail-above", str(worst - 1), "--quiet").code == 1
    assert planted(*frames, "--fail-above", str(worst + 1), "--quiet").code == 0
    assert "training set" in planted("trajectory", "planted.xyz").out


def test_overlaps_stand_beside_what_the_reference_covers_of_itself(planted: Call) -> None:
    found = json_of(planted("overlap", "planted.xyz", "data.xyz", "--json"))
    dH = delta_entropy_of_others(environments(STRUCTURES), np.repeat(np.arange(8), 4))
    assert found["baseline"] == pytest.approx(float((np.asarray(dH) < 1e-5).mean()))
    compared = planted("delta-entropy", "planted.xyz", "-r", "data.xyz", "-b", "0.05")
    assert "the reference of itself" in compared.out
    assert "quests-jax outliers planted.xyz -b 0.05 -r data.xyz" in compared.out
    assert "quests-jax" in planted("overlap", "planted.xyz", "data.xyz").out


# ---- Overlap matrices ----


def test_parts_may_be_files(planted: Call) -> None:
    found = json_of(planted("overlap-matrix", "planted.xyz", "data.xyz", "--json", "-o", "matrix.png"))
    y, x = (environments(ase.io.read(name, ":")).x for name in found["names"])
    assert found["overlaps"] == [[1.0, 1.0], [pytest.approx(float(overlap(y, x))), 1.0]]
    assert found["entropies"] == pytest.approx([float(entropy(y)), float(entropy(x))])
    assert Path("matrix.png").read_bytes()[:4] == b"\x89PNG"


def test_parts_may_be_labels(call: Call) -> None:
    labeled = [atoms.copy() for atoms in STRUCTURES]
    for number, atoms in enumerate(labeled):
        atoms.info = {"config_type": "ab"[number % 2]}
    ase.io.write("labeled.xyz", labeled, format="extxyz")
    found = json_of(call("overlap-matrix", "labeled.xyz", "--by", "config_type", "--json"))
    parts = [environments(labeled[start::2]).x for start in (0, 1)]
    assert (found["names"], found["n_environments"]) == (["a", "b"], [16, 16])
    assert found["overlaps"][0][1] == pytest.approx(float(overlap(parts[1], parts[0])))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("data.xyz",), "one part only"), (("data.xyz", "--by", "phase"), "have no phase")],
)
def test_parts_must_be_several(call: Call, arguments: tuple[str, ...], message: str) -> None:
    outcome = call("overlap-matrix", *arguments)
    assert (outcome.code, message in outcome.err) == (2, True)
