"""Every known defect of QUESTS 2026.2.22, by its number in papers/quests_defects.md, is right here."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import ase.io
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from command_line import STRUCTURES, Call, call, json_of

import quests_jax as qj
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.cover import knee, staged_cover
from quests_jax.cover.rules import baselines, clusters
from quests_jax.cover.rules import msc as novelty
from quests_jax.information import cutoff_rule, learning_curve, log_kernel_sum

__all__ = ["call"]  # the fixture

H = 0.015
ROOT = Path(__file__).resolve().parents[1]


def crystal(**options) -> Atoms:
    atoms = bulk("Cu", cubic=True, **options) * 2
    atoms.rattle(0.1, seed=3)
    return atoms


def groups(*sizes: int, spread: float = 0.01, apart: float = 1.0) -> qj.Environments:
    """Structures of these sizes around points that are far from one another."""
    number = np.repeat(np.arange(len(sizes)), sizes)
    x = np.random.default_rng(0).normal(0, spread, (len(number), 4))
    return qj.make_environments(x + apart * number[:, None], number)


# ---- Descriptors ----


def test_defect_01_left_handed_cells_have_images():
    atoms = crystal()
    mirrored = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell[[1, 0, 2]], pbc=True)
    assert np.linalg.det(mirrored.cell) < 0
    np.testing.assert_allclose(*(qj.get_descriptors([a]) for a in (atoms, mirrored)), atol=1e-10)


def test_defect_02_slabs_are_slabs():
    slab = fcc111("Cu", (3, 3, 3), vacuum=8.0, periodic=False)
    slab.rattle(0.1, seed=0)
    assert slab.pbc.tolist() == [True, True, False]
    boxed, cluster = slab.copy(), slab.copy()
    boxed.pbc, cluster.pbc = True, False
    as_slab, in_box, alone = (qj.get_descriptors([a]) for a in (slab, boxed, cluster))
    np.testing.assert_allclose(as_slab, in_box, atol=1e-10)
    assert np.abs(as_slab - alone).max() > 0.1


@pytest.mark.parametrize("structure", ["fcc", "bcc", "diamond"])
def test_defect_03_equivalent_atoms_of_a_crystal_are_equal(structure):
    atoms = bulk("Cu", structure, a=4.2, cubic=True) * 2
    turned = atoms[np.random.default_rng(0).permutation(len(atoms))]
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    x = qj.get_descriptors([atoms, turned])
    np.testing.assert_allclose(x, np.broadcast_to(x[0], x.shape), atol=1e-9)
    assert float(qj.entropy(x)) == pytest.approx(0, abs=1e-9)


def test_defect_04_a_tie_is_neither_side_of_the_jump():
    """The jump at a swap of neighbors k and k + 1 is part of the definition; at the tie nobody is dropped."""

    def row(side: float) -> np.ndarray:
        at = np.array([[0, 0, 0], [1.2, 0, 0], [0, 2 + side, 0], [-2 + side, 0, 0]])
        return qj.get_descriptors([Atoms("C4", at)], k=2)[0]

    np.testing.assert_allclose(row(0.0), (row(1e-5) + row(-1e-5)) / 2, atol=1e-4)
    assert np.abs(row(1e-5) - row(-1e-5)).max() > 0.01


def test_defect_05_elements_can_be_told_apart():
    salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    copper = Atoms("Cu8", salt.positions, cell=salt.cell, pbc=True)
    blind = qj.get_descriptors([salt, copper])
    np.testing.assert_allclose(blind[:8], blind[8:], atol=1e-9)
    seeing = qj.environments([salt, copper], species=["Na", "Cl", "Cu"]).x
    assert float(qj.overlap(seeing[:8], seeing[8:])) == 0


@pytest.mark.parametrize("species", [["Cu"], ["Cu", "Au"], ["Cu", "Au", "Ag"]])
def test_defect_06_element_resolved_descriptors_have_the_length_they_say(species):
    x = qj.get_descriptors([crystal(), molecule("H2")], k=8, species=species)
    assert x.shape == (34, (len(species) + 1) * (2 * 8 - 1))


# ---- Entropies and kernels ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_defect_07_everything_covers_itself(dtype):
    x = qj.get_descriptors([crystal() for _ in range(3)] + STRUCTURES).astype(dtype)
    assert float(qj.overlap(x, x)) == 1.0
    assert np.asarray(qj.delta_entropy(x, x)).max() < 1e-5


def test_defect_08_far_is_finite_and_msc_ranks_it():
    far = np.array([[0.0], [5.0], [40.0], [200.0]])
    dH = np.asarray(qj.delta_entropy(far, far[:1]))
    np.testing.assert_allclose(dH, (far[:, 0] / H) ** 2 / 2, rtol=1e-9)
    envs = qj.make_environments(far, np.arange(4))
    assert qj.msc(envs, size=4).selected.tolist() == [0, 3, 2, 1]


def test_defect_09_one_diversity_one_order_of_arguments():
    x = groups(5, 5).x
    logs = [qj.diversity(x), jax.jit(qj.diversity)(x), qj.diversity(np.asarray(x, np.float32))]
    np.testing.assert_allclose(np.asarray(logs, float), float(logs[0]), atol=1e-5)
    for function in (qj.delta_entropy, qj.overlap, log_kernel_sum):
        assert list(inspect.signature(function).parameters)[:2] == ["y", "x"]


def test_defect_10_results_stay_on_the_device_of_their_input():
    device = jax.devices()[-1]
    x = jax.device_put(jnp.asarray(groups(5, 5).x), device)
    assert qj.delta_entropy(x, x).devices() == {device}


def test_defect_11_several_bandwidths_are_lists_or_arrays():
    x = groups(9, 9).x
    both = [0.01, 0.02]
    assert qj.entropy(x, bandwidth=both).shape == (2,)
    for given in (both, np.asarray(both)):
        assert qj.delta_entropy(x[:5], x, bandwidth=given).shape == (2, 5)
    assert cutoff_rule(np.array([5.0, 10.0, 500.0])).shape == (3,)


def test_defect_12_memory_does_not_grow_with_pairs():
    def temporary(n: int) -> int:
        x = jax.ShapeDtypeStruct((n, 63), jnp.float64)
        compiled = jax.jit(qj.entropy).lower(x).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    small, large = temporary(8192), temporary(32768)
    assert large < 6 * small  # pairs grow by sixteen
    assert large < 20 * 32768 * 63 * 8


def test_defect_13_samples_are_without_replacement_and_seeded():
    x = np.asarray(groups(40, 20, spread=0.02).x)
    curves = [learning_curve(x, [30, 60], repeats=3, key=jax.random.key(1)) for _ in range(2)]
    np.testing.assert_allclose(curves[0].entropies[:, 1], float(qj.entropy(x)), rtol=1e-10)
    assert np.array_equal(curves[0].entropies, curves[1].entropies)


# ---- Compression ----


@pytest.mark.parametrize("method", ["msc", "cover", "random", "fps", "mean-fps", "k-means", "relaxed"])
def test_defect_14_fractions_are_fractions(method):
    half = qj.compress(groups(*[4] * 8), size=0.5, method=method)
    assert len(half.selection.selected) == 4
    whole = qj.compress(groups(*[4] * 8), size=1.0, method=method)
    assert sorted(whole.selection.selected.tolist()) == list(range(8))


@pytest.mark.parametrize(
    "rule",
    [clusters.k_means, baselines.mean_farthest_point, baselines.farthest_point, baselines.random_choice],
)
def test_defect_15_exactly_the_number_asked_for(rule):
    envs = groups(*[3] * 6)
    for size in range(1, 7):
        assert len(set(rule(envs, size=size, bandwidth=H).selected.tolist())) == size
    for size in (0, 7, -1):
        with pytest.raises(qj.InputError, match="size"):
            rule(envs, size=size, bandwidth=H)


@pytest.mark.parametrize("parts", [1, 3, 5, 7])
def test_defect_16_parts_of_any_number_and_length(parts):
    chosen = staged_cover(groups(*[3] * 7), size=3, parts=parts).selected
    assert len(set(chosen.tolist())) == 3


def test_defect_17_a_cover_takes_no_copy_before_what_is_new():
    x = np.array([[0.0]] * 4 + [[1.0], [2.0]])
    problem = qj.cover_problem(qj.make_environments(x, np.arange(6)))
    assert set(qj.greedy_cover(problem, size=3).selected.tolist()) == {0, 4, 5}


def test_defect_18_a_cover_covers_more_than_the_rule_of_the_paper():
    structures = [*STRUCTURES, crystal()]
    cover, msc = (qj.compress(structures, size=3, method=m).summary for m in ("cover", "msc"))
    assert cover["coverage"] >= msc["coverage"]
    assert 0 < msc["certified_ratio"] <= cover["certified_ratio"] <= 1


def test_defect_19_no_python_between_picks(monkeypatch):
    calls = []
    advance = novelty._advance
    monkeypatch.setattr(novelty, "_advance", lambda *a, **k: calls.append(1) or advance(*a, **k))
    assert len(qj.msc(groups(*[2] * 200), size=200).selected) == 200
    assert len(calls) <= -(-200 // novelty.SEGMENT)


def test_defect_20_msc_minds_the_bandwidth():
    x = np.array([[0.0], [0.1], [0.35], [1.0]])
    envs = qj.make_environments(np.repeat(x, 2, axis=0), np.repeat(np.arange(4), 2))
    for h in (0.01, 0.5):
        scores = qj.msc(envs, size=2, bandwidth=h).gains
        assert scores[1] == pytest.approx(0.5 / h**2 - np.log(2), rel=1e-9)


def test_defect_21_the_knee_is_not_everything():
    envs = groups(*[30] * 3, *[1] * 9, spread=0.002)
    best = knee(qj.greedy_cover(qj.cover_problem(envs), size=1.0))
    assert best == 3


# ---- Command line and documentation ----


def test_defect_22_metrics_are_written_as_json(call: Call):
    assert call("metrics", "data.xyz", "-o", "metrics.json").code == 0
    assert json.loads(Path("metrics.json").read_text())["entropy"] > 0


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_defect_23_descriptors_are_read_back(call: Call, suffix: str):
    assert call("descriptors", "data.xyz", "-o", f"x.{suffix}").code == 0
    direct, again = (json_of(call("entropy", file, "--json")) for file in ("data.xyz", f"x.{suffix}"))
    assert direct["entropy"] == pytest.approx(again["entropy"], rel=1e-12)


@pytest.mark.parametrize("name", ["out.extxyz", "out.xyz"])
def test_defect_24_structures_are_written_as_structures(call: Call, name: str):
    assert call("compress", "data.xyz", "-s", "3", "-o", name).code == 0
    assert len(ase.io.read(name, ":", format="extxyz")) == 3


def test_defect_25_every_command_runs_with_its_defaults(call: Call):
    reference = {"delta-entropy": ["-r", "data.xyz"], "overlap": ["data.xyz"]}
    for name in ("metrics", "compress", "outliers", "bandwidth", "learning-curve", "trajectory", *reference):
        assert call(name, "data.xyz", *reference.get(name, [])).code == 0


def test_defect_26_the_examples_of_the_readme_are_run_by_tests():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in {line.split("qj.")[1].split("(")[0] for line in readme.splitlines() if "qj." in line}:
        assert hasattr(qj, name.split("`")[0].split(".")[0].strip(")")), name
    assert (ROOT / "tests" / "test_readme.py").exists()


def test_defect_27_the_tolerance_is_the_one_that_is_documented(call: Call):
    found = json_of(call("overlap", "data.xyz", "data.xyz", "--json"))
    assert found["tolerance"] == overlap_tolerance(jnp.dtype(jnp.float64)) == 1e-5
    assert "1e-5" in (inspect.getdoc(qj.overlap) or "")
