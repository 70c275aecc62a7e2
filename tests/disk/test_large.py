"""Data sets on disk give the numbers of data sets in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from driver import HERE, crystals, small_shards

import quests_jax as qj
from quests_jax.base.checks import InputError
from quests_jax.cover.problem import coverage, indicator
from quests_jax.disk import (
    Asked,
    Shards,
    Work,
    compress_shards,
    cover_stages,
    describe_files,
    estimate,
    large_cover,
    self_sums,
    shard_sums,
)
from quests_jax.disk import (
    shards as dataset,
)
from quests_jax.disk.cover_targets import draw_targets, pose_on_disk
from quests_jax.information import estimated_diversity, estimated_entropy
from quests_jax.studies.choice_within_limits import Amount, Limits

H, NARROW = 0.015, 0.004  # Å⁻¹; within the narrow one, hardly anything covers anything


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (dataset, "SHARD_ROWS"),
        (dataset, "SHARD_STRUCTURES"),
        (shard_sums, "BLOCK"),
        (shard_sums, "GROUP"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    small_shards()


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    qj.write(tmp_path / "data.xyz", crystals(60, atoms=8))
    return describe_files(Work(tmp_path / "work"), [tmp_path / "data.xyz"], k=32, cutoff=5.0)


def envs_of(shards: Shards) -> qj.Environments:
    return qj.environments(qj.read(Path(shards.structures.files[0].path)))


def test_descriptors_are_those_of_the_file(shards: Shards) -> None:
    envs = envs_of(shards)
    assert len(shards.runs) > 4
    np.testing.assert_allclose(shards.some(np.arange(shards.n_environments)).x, envs.x, atol=1e-13)
    wanted = np.array([3, 320, 321, 479])
    np.testing.assert_allclose(shards.some(wanted).x, np.asarray(envs.x)[wanted], atol=1e-13)


def test_sums_in_blocks_are_the_sums(shards: Shards) -> None:
    expected = np.asarray(qj.information.self_kernel_sum(envs_of(shards).x, bandwidth=H))
    found = self_sums(shards, bandwidth=H)
    np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-11)


def test_a_sample_of_everything_is_exact(shards: Shards) -> None:
    x = envs_of(shards).x
    entropy, diversity = estimate(shards, rows=10_000, bandwidth=H, seed=0)
    assert entropy.half_width == diversity.half_width == 0
    assert entropy.value == pytest.approx(float(qj.entropy(x)), rel=1e-11)
    assert diversity.value == pytest.approx(float(qj.diversity(x)), rel=1e-11)


def test_intervals_hold_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    p = np.concatenate([random.uniform(1, 500, 3000), random.uniform(1, 3, 1000)])
    exact = np.log(len(p)) - np.log(p).mean(), np.log(np.sum(1 / p))
    held = np.zeros(2)
    for _ in range(1000):
        sample = p[random.permutation(len(p))[:200]]
        found = estimated_entropy(sample, len(p)), estimated_diversity(sample, len(p))
        held += [abs(f.value - e) <= f.half_width for f, e in zip(found, exact, strict=True)]
    assert np.all(held / 1000 > 0.93)  # 0.95 promised, 0.007 is the noise of 1000 trials


def test_a_cover_of_all_targets_is_certified_like_one_in_memory(shards: Shards) -> None:
    problem = qj.cover_problem(envs_of(shards), bandwidth=H)
    inside = qj.certify(problem, qj.greedy_cover(problem, size=15))
    selection, dH = large_cover(shards, Asked(Limits(15)), bandwidth=H)
    found = float(coverage(problem, indicator(problem, selection.selected)))
    assert selection.coverage == pytest.approx(found, abs=1e-9)
    assert selection.coverage >= 0.99 * inside.coverage
    assert inside.coverage <= selection.upper_bound <= 1.05 * inside.upper_bound
    assert dH.shape == (shards.n_environments,)


def test_candidates_from_many_shards_are_as_good_as_all_structures(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything, _ = large_cover(shards, Asked(Limits(3)), bandwidth=H)
    monkeypatch.setattr(cover_stages, "DENSE", 1)
    monkeypatch.setattr(cover_stages, "OVERSAMPLE", 1)
    some, _ = large_cover(shards, Asked(Limits(3)), bandwidth=H, seed=1)  # another stage, the same targets
    assert some.coverage >= 0.95 * everything.coverage
    assert some.upper_bound >= everything.coverage - 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_of_a_sample_holds_for_every_choice(tmp_path: Path, seed: int) -> None:
    qj.write(tmp_path / "data.xyz", crystals(9, atoms=40))
    shards = describe_files(Work(tmp_path / "work"), [tmp_path / "data.xyz"], k=32, cutoff=5.0)
    problem = qj.cover_problem(envs_of(shards), bandwidth=H)
    best = max(float(coverage(problem, indicator(problem, chosen))) for chosen in combinations(range(9), 2))
    selection, _ = large_cover(shards, Asked(Limits(2)), bandwidth=H, targets=90, seed=seed)
    assert selection.coverage <= best + 1e-9
    assert selection.upper_bound >= best


def test_a_reference_is_complemented_as_in_memory(shards: Shards) -> None:
    envs = envs_of(shards)
    known = np.asarray(envs.x)[:80]
    problem = qj.cover_problem(envs, bandwidth=NARROW, reference=known)
    inside = qj.certify(problem, qj.greedy_cover(problem, size=12))
    selection, dH = large_cover(shards, Asked(Limits(12), known), bandwidth=NARROW)
    found = float(coverage(problem, indicator(problem, selection.selected)))
    assert selection.coverage == pytest.approx(found, abs=1e-9)
    assert 0.99 > selection.coverage >= 0.99 * inside.coverage
    assert inside.coverage <= selection.upper_bound <= 1.05 * inside.upper_bound
    assert np.all(dH[:80] < 1e-9)
    assert selection.gains[-1] > 0
    assert not np.isin(selection.selected, np.arange(10)).any()  # known already


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_of_a_sample_holds_beside_a_reference(tmp_path: Path, seed: int) -> None:
    qj.write(tmp_path / "data.xyz", crystals(9, atoms=40))
    shards = describe_files(Work(tmp_path / "work"), [tmp_path / "data.xyz"], k=32, cutoff=5.0)
    known = np.asarray(envs_of(shards).x)[:60]
    problem = qj.cover_problem(envs_of(shards), bandwidth=NARROW, reference=known)
    best = max(float(coverage(problem, indicator(problem, chosen))) for chosen in combinations(range(9), 2))
    options = {"bandwidth": NARROW, "targets": 90, "seed": seed}
    selection, _ = large_cover(shards, Asked(Limits(2), known), **options)
    assert selection.coverage <= best + 1e-9
    assert selection.upper_bound >= best
    assert (
        large_cover(shards, Asked(Limits(2)), **options)[0].gains[0] > selection.gains[0]
    )  # results are not mixed up


@pytest.mark.parametrize("empty_first", [False, True])
def test_a_reference_that_covers_everything_leaves_nothing_to_gain(tmp_path: Path, empty_first: bool) -> None:
    structures = [Atoms()] * empty_first + crystals(20)
    qj.write(tmp_path / "data.xyz", structures)
    shards = describe_files(Work(tmp_path / "work"), [tmp_path / "data.xyz"], k=32, cutoff=5.0)
    x = np.asarray(envs_of(shards).x)
    summary = compress_shards(shards, Amount(3), bandwidth=H, reference=x)
    assert summary["coverage"] == summary["overlap"] == summary["upper_bound"] == 1
    assert summary["size"] == 3
    assert summary["reference_environments"] == len(x)


def test_a_reference_of_another_kind_is_refused(shards: Shards) -> None:
    with pytest.raises(InputError, match="reference: expected 63 features"):
        large_cover(shards, Asked(Limits(2), np.zeros((3, 5))), bandwidth=H)


def test_targets_represent_every_structure(shards: Shards) -> None:
    targets = draw_targets(pose_on_disk(shards, Asked(Limits(15)), bandwidth=H, targets=200))
    assert targets.weights.sum() == pytest.approx(shards.n_environments)
    assert len(targets.weights) == 60 * 4  # of 8 atoms each, at least 200 of 480
    assert targets.sizes.sum() < shards.n_environments


def test_the_summary_has_the_keys_and_numbers_of_compress(shards: Shards) -> None:
    inside = qj.compress(qj.read(Path(shards.structures.files[0].path)), size=15, method="cover").summary
    found = compress_shards(shards, Amount(15), bandwidth=H)
    of_conditions = {"dropped", "saturated"}  # the command adds the first
    assert inside.keys() - of_conditions <= found.keys()
    kept = qj.environments(
        [qj.read(Path(shards.structures.files[0].path))[number] for number in found["selected"]]
    ).x
    assert found["entropy"] == pytest.approx(float(qj.entropy(kept)))
    assert found["overlap"] == pytest.approx(float(qj.overlap(envs_of(shards).x, kept)))
    assert found["entropy_full"] == pytest.approx(inside["entropy_full"], abs=1e-9)


def test_empty_structures_are_kept_in_count_and_never_chosen(tmp_path: Path) -> None:
    structures = crystals(20)
    structures.insert(3, Atoms())
    (tmp_path / "data.xyz").write_text("")
    qj.write(tmp_path / "data.xyz", structures)
    shards = describe_files(Work(tmp_path / "work"), [tmp_path / "data.xyz"], k=32, cutoff=5.0)
    selection, _ = large_cover(shards, Asked(Limits(6)), bandwidth=H)
    assert len(shards.counts) == 21
    assert 3 not in selection.selected


def test_atoms_at_one_place_are_named_by_the_number_in_the_file(tmp_path: Path) -> None:
    text = "2\n\nCu 0 0 0\nCu 0 0 2\n" * 30 + "2\n\nCu 0 0 0\nCu 0 0 0\n"
    (tmp_path / "data.xyz").write_text(text)
    with pytest.raises(InputError, match=r"data.xyz: structure 30"):
        describe_files(Work(tmp_path / "work"), [tmp_path / "data.xyz"], k=32, cutoff=5.0)


SHARES = """
import sys
from functools import partial
from pathlib import Path
import jax, numpy as np
import quests_jax as qj
from driver import crystals, small_shards
from jax.sharding import Mesh
from quests_jax.cover.masses.sharded import AXIS
from quests_jax.cover.masses.sparse import SparseMasses
from quests_jax.cover.masses.dense_or_sparse import DenseMasses
from quests_jax.disk import Asked, Work, cover_stages, describe_files
from quests_jax.studies.choice_within_limits import Limits
from quests_jax.disk.cover_targets import draw_targets, pose_on_disk
folder, h, candidates = Path(sys.argv[1]), 0.0005, np.array([3, 11, 12, 23])
small_shards()
qj.write(folder / "data.xyz", crystals(24, atoms=8))
shards = describe_files(Work(folder / "work"), [folder / "data.xyz"], k=32, cutoff=5.0)
task = pose_on_disk(shards, Asked(Limits(3)), bandwidth=h, targets=300)
wanted = draw_targets(task)
task.stage("masses").complete(len(shards.runs), partial(cover_stages._masses_of, task))
envs, n = qj.environments(qj.read(folder / "data.xyz")), len(wanted.weights)
whole = qj.information.structure_masses(wanted.x, envs.x, envs.structure_id, 24, bandwidth=h)
for kind, most in ((DenseMasses, 10**9), (SparseMasses, 0)):
    cover_stages.DENSE = most
    masses = cover_stages._divided_masses(task, n, candidates, Mesh(np.asarray(jax.devices()), (AXIS,)))
    assert isinstance(masses.parts, kind) and masses.mesh.size == 3
    np.testing.assert_allclose(masses.columns(np.arange(n)), np.minimum(whole, 1)[candidates], atol=1e-6)
"""


def test_candidates_are_divided_though_some_devices_get_none(tmp_path: Path) -> None:
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=3"
    forced = {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    forced["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), str(HERE.parents[2])])
    program = [sys.executable, "-c", SHARES, str(tmp_path)]
    done = subprocess.run(program, env=os.environ | forced, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_elements_are_told_apart_on_disk(tmp_path: Path) -> None:
    structures = []
    for seed in range(12):
        atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
        atoms.rattle(0.03, seed=seed)
        structures.append(atoms)
    structures[5].symbols[2] = "Cu"
    qj.write(tmp_path / "salt.xyz", structures)
    shards = describe_files(
        Work(tmp_path / "work"), [tmp_path / "salt.xyz"], k=8, cutoff=4.0, elements="center"
    )
    envs = qj.environments(structures, k=8, cutoff=4.0, elements="center")
    np.testing.assert_array_equal(shards.environments(0).elements, envs.elements)
    expected = np.asarray(qj.information.self_kernel_sum(envs, bandwidth=H))
    np.testing.assert_allclose(np.sort(self_sums(shards, bandwidth=H)), np.sort(expected), rtol=1e-12)
    H_of_sample = estimate(shards, rows=len(envs), bandwidth=H, seed=0)[0].value
    assert H_of_sample == pytest.approx(float(qj.entropy(envs, bandwidth=H)), rel=1e-12)
    selection, dH = large_cover(shards, Asked(Limits(1)), bandwidth=H)
    assert np.isposinf(dH).sum() == (selection.selected[0] != 5)
    assert selection.coverage == pytest.approx(np.minimum(1, np.exp(-dH)).mean())
