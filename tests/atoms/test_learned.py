"""Descriptors from anywhere: what fits the protocol is described, kept, scaled and measured like our own."""

from __future__ import annotations

import os
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.build import bulk

import quests_jax as qj
from quests_jax.atoms.learned import Descriptor, find_descriptor, fit_scaling
from quests_jax.base.checks import InputError
from quests_jax.base.environments import make_environments

MODEL = Path(__file__).resolve().parents[3] / "shared" / "models" / "nequix-oam-1.nqx"


def salts(count: int = 3) -> list[ase.Atoms]:
    structures = []
    for seed in range(count):
        atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.arrays["features"] = np.random.default_rng(seed).normal(size=(8, 4))
        structures.append(atoms)
    return structures


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUESTS_JAX_DESCRIPTORS", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_arrays_of_structures():
    structures = salts()
    envs = qj.environments(structures, descriptor=find_descriptor("array:features"), elements="center")
    expected = np.concatenate([atoms.arrays["features"] for atoms in structures])
    np.testing.assert_array_equal(envs.x, expected)
    assert envs.elements.tolist() == np.concatenate([atoms.numbers for atoms in structures]).tolist()
    with pytest.raises(InputError, match="no per-atom array nothing"):
        qj.environments(structures, descriptor=find_descriptor("array:nothing"))


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_files_of_rows(tmp_path, suffix):
    structures, path = salts(), tmp_path / f"rows.{suffix}"
    rows = np.random.default_rng(0).normal(size=(24, 3))
    np.savez(path, x=rows) if suffix == "npz" else np.save(path, rows)
    descriptor = find_descriptor(str(path))
    for _ in range(2):
        np.testing.assert_array_equal(qj.environments(structures, descriptor=descriptor).x, rows)
    with pytest.raises(InputError, match="fewer than"):
        qj.environments(salts(4), descriptor=find_descriptor(str(path)))


def test_what_is_kept_is_not_made_again(folder):
    calls = []

    def describe(structures):
        calls.append(len(structures))
        return [atoms.positions for atoms in structures]

    descriptor = Descriptor("positions", describe, "1", kept=True)
    first = qj.environments(salts(), descriptor=descriptor)
    np.testing.assert_array_equal(qj.environments(salts(), descriptor=descriptor).x, first.x)
    assert calls == [3]
    qj.environments(salts(), descriptor=descriptor._replace(version="2"))
    moved = salts()
    moved[0].positions += 0.1
    qj.environments(moved, descriptor=descriptor)
    assert calls == [3, 3, 3]
    for path in folder.iterdir():
        path.write_bytes(b"cut short")
    np.testing.assert_array_equal(qj.environments(salts(), descriptor=descriptor).x, first.x)


def test_rows_must_fit_atoms():
    short = Descriptor("short", lambda structures: [atoms.positions[1:] for atoms in structures])
    with pytest.raises(InputError, match="structure 0: the descriptor has shape"):
        qj.environments(salts(), descriptor=short)
    growing = Descriptor("growing", lambda structures: [np.zeros((8, 1 + i)) for i in range(len(structures))])
    with pytest.raises(InputError, match="structure 1: the descriptor has 2 columns"):
        qj.environments(salts(), descriptor=growing)


@pytest.mark.parametrize("text", ["", "array:", "soup:x", "nequix:", "mace"])
def test_forms_that_do_not_exist(text):
    with pytest.raises(InputError, match="not known"):
        find_descriptor(text)


def test_files_and_settings_must_exist(tmp_path):
    for text in ("nequix:nothing.nqx", "mace:nothing.model", "soap:n_max=3", "soap:species=Si,size=3"):
        with pytest.raises(InputError):
            find_descriptor(text)
    with pytest.raises(InputError, match="check it"):
        find_descriptor(str(tmp_path / "nothing.npz"))


@pytest.mark.parametrize("rule", ["std", "whiten"])
def test_scales_forget_units_and_constant_columns(rule):
    rows = np.random.default_rng(0).normal(size=(50, 4)) @ np.random.default_rng(1).normal(size=(4, 4))
    units = np.array([1e-8, 1.0, 1e4, 1e8])
    plain = fit_scaling(rows, rule).apply(rows)
    other = fit_scaling(rows * units, rule).apply(rows * units)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (plain, other)]
    np.testing.assert_allclose(*distances, rtol=1e-6, atol=1e-9)
    assert np.var(plain, axis=0).sum() == pytest.approx(1)
    constant = np.concatenate([rows, np.full((50, 2), 0.1)], axis=1)
    assert fit_scaling(constant, rule).apply(constant).shape[1] == 4
    assert fit_scaling(rows, "none") is None
    with pytest.raises(InputError, match="no scale"):
        fit_scaling(np.ones((3, 2)), rule)


@pytest.mark.parametrize(("width", "unit"), [(1, 1e4), (7, 1e-8), (7, 1e8), (2000, 1e4)])
def test_units_of_descriptors_change_nothing(width, unit):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, width)) / np.sqrt(width)
    x[3], x[4:8] = 0, x[9]
    structure, elements = np.repeat(np.arange(8), 5), np.tile([1, 8], 20)
    small, large = (make_environments(c * x, structure, elements=elements) for c in (1.0, unit))
    h, wide = 0.6, 0.6 * unit
    for measure in (qj.entropy, qj.diversity):
        expected = float(measure(small, bandwidth=h))
        assert float(measure(large, bandwidth=wide)) == pytest.approx(expected, abs=1e-9)
    dH = qj.delta_entropy(small, small.take(slice(10)), bandwidth=h)
    np.testing.assert_allclose(
        qj.delta_entropy(large, large.take(slice(10)), bandwidth=wide), dH, rtol=1e-9, atol=1e-9
    )
    for method in ("msc", "cover", "fps") if width == 7 else ("msc",):
        one = qj.compress(small, size=3, method=method, bandwidth=h).summary
        other = qj.compress(large, size=3, method=method, bandwidth=wide).summary
        assert one["selected"] == other["selected"]
        assert one["certified_ratio"] == pytest.approx(other["certified_ratio"], abs=1e-9)


@pytest.mark.skipif(not MODEL.exists(), reason="no pretrained potential beside the repository")
def test_nequix_is_differentiable_in_the_positions(monkeypatch):
    pytest.importorskip("nequix", reason="pip install --no-deps nequix, see `atoms.learned.nequix`")
    import jax
    import jax.numpy as jnp

    from quests_jax.atoms.learned.nequix import differentiable

    atoms, other = salts(2)
    described = np.asarray(qj.environments([atoms, other], descriptor=find_descriptor(f"nequix:{MODEL}")).x)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), jax.enable_x64(True):
        features = differentiable(MODEL, atoms)
        start = jnp.asarray(atoms.positions)
        np.testing.assert_allclose(described[:8], features(start), rtol=1e-3, atol=1e-4)
        known, along = described[8:], np.random.default_rng(0).normal(size=(8, 3))

        def novelty(positions):
            return qj.delta_entropy(features(positions), known, bandwidth=3.0).sum()

        slope = float(jnp.vdot(jax.grad(novelty)(start), along))
        step = 1e-5  # at 1e-4 the third derivative is in the fifth digit
        ahead, behind = (float(novelty(start + sign * step * along)) for sign in (1, -1))
    assert slope == pytest.approx((ahead - behind) / (2 * step), rel=1e-5)
    assert os.environ["QUESTS_JAX_DESCRIPTORS"]
