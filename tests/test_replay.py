"""Replay sets for fine-tuning: filters, weights, heads, and no silent fallback."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from command_line import Call, call, json_of

from quests_jax.atoms.describe import environments
from quests_jax.base.checks import InputError
from quests_jax.cover.masses import dense_or_sparse
from quests_jax.studies import replay_set
from quests_jax.studies.replay_set import FILTERS, choose_replay, passing, weights_of

__all__ = ["call"]  # the fixture


def salt(a: float, seed: int, symbols: str = "NaCl") -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=a)
    atoms.set_chemical_symbols(["Na", "Cl"] if symbols == "NaCl" else ["Na", "Na"])
    atoms.rattle(0.05, seed=seed)
    return atoms


POOL = [salt(5.6 + 0.02 * i, i) for i in range(8)] + [salt(5.7, 20, "Na"), bulk("Cu"), Atoms("Na")]
FINETUNE = [salt(5.6, 0), salt(5.62, 1)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("combinations", [*range(9), 10]),
        ("exclusive", [*range(8)]),
        ("inclusive", [*range(8)]),
        ("none", [*range(11)]),
    ],
)
def test_filters_are_those_of_mace(name: str, expected: list[int]) -> None:
    assert passing(POOL, ["Na", "Cl"], name).tolist() == expected


def test_weights_grow_and_fall_with_the_distance() -> None:
    dH = np.array([-1.0, 0.0, 2.0, 4.0, np.inf])
    towards, away = weights_of(dH, "towards"), weights_of(dH, "away")
    np.testing.assert_allclose(towards + away, 1.0)
    np.testing.assert_allclose(towards[:4], [1.0, 1.0, 2 / 3, 0.5])
    assert np.all(np.diff(towards) <= 0)
    assert weights_of(dH, "even") is None
    assert weights_of(np.array([-1.0, 0.0]), "away") is None


def test_the_weighting_decides_what_comes_first() -> None:
    envs, known = environments(POOL[:8]), environments(FINETUNE)
    near, far = (
        choose_replay(envs, known, size=1, weighting=weighting, bandwidth=0.002).selection.selected[0]
        for weighting in ("towards", "away")
    )
    assert near in (0, 1)
    assert far not in (0, 1)


@pytest.mark.parametrize("weighting", ["even", "towards"])
def test_a_sample_of_a_large_pool_gives_the_coverage_of_all(
    monkeypatch: pytest.MonkeyPatch, weighting: str
) -> None:
    monkeypatch.setattr(replay_set, "FEWER", 7)
    monkeypatch.setattr(dense_or_sparse, "DENSE", 0)
    envs, known = environments(POOL[:8]), environments(FINETUNE)
    found = choose_replay(envs, known, size=3, weighting=weighting, bandwidth=0.01)
    x, number = np.asarray(envs.x), np.asarray(envs.structure_id)
    chosen = x[np.isin(number, found.selection.selected)]
    kernel = np.exp(-((x[:, None] - chosen[None]) ** 2).sum(axis=-1) / (2 * 0.01**2))
    covered = np.minimum(1, kernel.sum(axis=1))
    weights = weights_of(found.delta_entropy, weighting)
    assert found.selection.coverage == pytest.approx(np.average(covered, weights=weights), rel=1e-6)
    assert found.failure_probability > 0
    if weighting == "towards":
        assert found.selection.upper_bound is None
    else:
        assert found.selection.upper_bound is not None
        assert found.selection.upper_bound >= found.selection.coverage


@pytest.fixture
def files(call: Call) -> None:
    ase.io.write("pool.xyz", POOL, format="extxyz")
    ase.io.write("finetune.xyz", FINETUNE, format="extxyz")


@pytest.mark.filterwarnings("ignore::UserWarning")  # that the bandwidth does not fit
def test_heads_and_weights_are_written(call: Call, files: None) -> None:
    line = "replay pool.xyz -r finetune.xyz -s 3 --config-weight 0.5 -o replay.xyz --combined all.xyz --json"
    found = json_of(call(*line.split()))
    chosen, together = ase.io.read("replay.xyz", ":"), ase.io.read("all.xyz", ":")
    assert [(atoms.info["head"], atoms.info["config_weight"]) for atoms in chosen] == [("pt_head", 0.5)] * 3
    assert [atoms.info["head"] for atoms in together] == ["Default"] * 2 + ["pt_head"] * 3
    assert found["n_passing"] == 10
    assert found["places"] == [["pool.xyz", i] for i in found["selected"]]
    assert 0 < found["coverage"] <= found["upper_bound"] <= 1


@pytest.mark.filterwarnings("ignore::UserWarning")  # that the bandwidth does not fit
def test_one_structure_is_spoken_of_in_the_singular(call: Call, files: None) -> None:
    assert "1 of 10 structures that pass reaches" in call(*"replay pool.xyz -r finetune.xyz -s 1".split()).out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("-s 9 --filter exclusive", "9 structures are asked for and only 8 of 11 pass the filter exclusive"),
        ("-s 3 --filter all", "Invalid value"),
        ("-s 3 --combined pool.xyz --overwrite", "is an input"),
        ("", "Missing option"),
    ],
)
def test_nothing_takes_the_place_of_what_is_missing(
    call: Call, files: None, options: str, words: str
) -> None:
    outcome = call("replay", "pool.xyz", "-r", "finetune.xyz", *options.split(), "-o", "replay.xyz")
    assert outcome.code == 2
    assert words in outcome.err
    assert not Path("replay.xyz").exists()


def test_a_filter_that_nothing_passes_is_refused() -> None:
    with pytest.raises(InputError, match="no structure of the pool has all of the elements"):
        passing(POOL, ["Au"], "exclusive")
    assert set(FILTERS) == {"combinations", "exclusive", "inclusive", "none"}
