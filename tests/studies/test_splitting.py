"""Splits keep structures that know each other together, and leakage measures whether they do."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from command_line import STRUCTURES, Call, call, json_of

from quests_jax.atoms.describe import environments
from quests_jax.base.checks import InputError
from quests_jax.base.environments import make_environments
from quests_jax.information import structure_masses
from quests_jax.studies.leakage import find_leakage
from quests_jax.studies.splitting import likeness, split

__all__ = ["call"]  # the fixture


def families() -> list:
    """Ten simulations of four frames each: frames of one are alike, simulations are not."""
    found = []
    for family in range(10):
        for seed in range(4):
            atoms = bulk("Cu", "fcc", a=3.4 + 0.08 * family, cubic=True)
            atoms.rattle(0.002, seed=10 * family + seed)
            atoms.info["run"] = f"run-{family}"
            found.append(atoms)
    return found


@pytest.fixture(scope="module")
def structures() -> list:
    return families()


def covered_by_chance(envs, count: int, seed: int) -> float:
    test = np.random.default_rng(seed).permutation(envs.n_structures)[:count]
    return covered(envs, test)


def covered(envs, test: np.ndarray) -> float:
    own = np.isin(np.asarray(envs.structure_id), test)
    return find_leakage(envs.take(own), envs.take(~own)).covered.environments


def test_families_stay_together_and_nothing_leaks(structures):
    envs = environments(structures)
    found = split(envs)
    assert sorted(np.concatenate(found.parts).tolist()) == list(range(40))
    assert [len(part) for part in found.parts] == [32, 4, 4]
    assert all(len({number // 4 for number in part}) == len(part) / 4 for part in found.parts)
    assert covered(envs, found.parts[2]) == 0 < covered_by_chance(envs, 4, 0)
    assert found.level < 0.5


def test_likeness_is_made_of_masses(structures):
    envs = environments(structures[:6])
    masses = np.asarray(structure_masses(envs.x, envs.x, envs.structure_id, 6))
    shares = np.minimum(masses, 1).reshape(6, 6, 4).mean(axis=2)
    expected = np.maximum(shares, shares.T)
    np.testing.assert_allclose(likeness(envs), np.where(np.eye(6) > 0, 1, expected), atol=1e-9)


def test_groups_are_never_divided(structures):
    labels = [number % 7 for number in range(40)]
    found = split(environments(structures), (0.5, 0.5), groups=labels)
    assert not {labels[i] for i in found.parts[0]} & {labels[i] for i in found.parts[1]}
    assert found.level is None


def test_every_part_gets_a_block_however_small_the_data_are():
    envs = environments([STRUCTURES[i] for i in (0, 1, 2)])
    assert [len(part) for part in split(envs, groups="abc").parts] == [1, 1, 1]
    assert [len(part) for part in split(envs).parts] == [1, 1, 1]
    with pytest.raises(InputError, match="2 blocks cannot make 3 parts"):
        split(envs, groups="abb")


def test_isolated_atoms_go_to_the_first_part():
    counts = np.array([2, 1] * 10)
    x = np.where(np.repeat(counts, counts) == 1, 0.0, 1 + np.arange(30.0))[:, None]
    envs = make_environments(x, np.repeat(np.arange(20), counts))
    assert set(range(1, 20, 2)) <= set(split(envs, (0.6, 0.4), bandwidth=0.1).parts[0].tolist())


def test_structures_that_are_all_alike_are_split_all_the_same():
    found = split(make_environments(np.zeros((20, 2)), np.repeat(np.arange(10), 2)), (0.8, 0.2))
    assert [len(part) for part in found.parts] == [8, 2]


@pytest.mark.parametrize("fractions", [(1.0,), (0.5, 0.6), (1.2, -0.2)])
def test_fractions_must_add_up(fractions):
    with pytest.raises(InputError, match="fractions"):
        split(make_environments(np.eye(4), np.arange(4)), fractions)


def test_verdicts_of_leakage(structures):
    envs = environments(structures)
    test, train = envs.take(slice(0, 16)), envs.take(slice(16, None))
    assert find_leakage(test, train).verdict == "independent"
    again = find_leakage(train, train, structures=(structures[4:], structures[4:]))
    assert again.verdict == "leaks"
    assert len(again.copies) == 36
    assert again.covered == (1, 1)


@pytest.mark.slow
def test_the_commands(structures, call: Call):
    ase.io.write("runs.xyz", structures, format="extxyz")
    outputs = ("-o", "train.xyz", "-o", "valid.xyz", "-o", "test.xyz")
    found = json_of(call("split", "runs.xyz", *outputs, "--json"))
    assert found["sizes"] == [32, 4, 4]
    frames = {name: ase.io.read(f"{name}.xyz", ":") for name in ("train", "valid", "test")}
    assert {name: len(each) for name, each in frames.items()} == {"train": 32, "valid": 4, "test": 4}
    runs = [{atoms.info["run"] for atoms in frames[name]} for name in ("train", "test")]
    assert not runs[0] & runs[1]
    leaks = json_of(call("leakage", "train.xyz", "test.xyz", "--json"))
    assert leaks["verdict"] == "independent"
    assert leaks["halves"]["environments"] == pytest.approx(found["halves_of_train"])  # the same answer
    assert json_of(call("leakage", "train.xyz", "train.xyz", "--json"))["verdict"] == "leaks"
    by_label = json_of(call("split", "runs.xyz", "--fractions", "0.5,0.5", "--group", "run", "--json"))
    assert by_label["blocks"] == 10
    with_atoms = [*structures, Atoms("Cu", cell=[20, 20, 20], pbc=True)]  # has no run, and needs none
    ase.io.write("with_atoms.xyz", with_atoms, format="extxyz")
    parts = json_of(call("split", "with_atoms.xyz", "--group", "run", "--json"))["parts"]
    assert len(structures) in parts["train"]
    outcome = call("split", "runs.xyz", "--group", "phase")
    assert (outcome.code, "no phase" in outcome.err) == (2, True)
    assert call("split", "runs.xyz", "--fractions", "0.5").code == 2
    assert not Path("0").exists()
