"""The miscompilation that some releases of jax have, and their refusal."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packaging.requirements import Requirement

from quests_jax.base import jax_versions as compatibility

pytestmark = pytest.mark.optimised


@pytest.mark.parametrize(("dtype", "rows"), [("float64", 16_385), ("float32", 32_769)])
def test_compiled_squared_distances_of_images_agree_with_numpy(dtype: str, rows: int) -> None:
    rng = np.random.default_rng(0)
    cell = rng.normal(size=(3, 3)).astype(dtype)
    shifts = rng.integers(-3, 4, size=(rows, 3)).astype(dtype)

    def squared_distance(shift: jax.Array) -> jax.Array:
        return jnp.sum((jnp.asarray(cell.T) @ shift) ** 2)

    expected = np.sum((shifts.astype(float) @ cell) ** 2, axis=-1)
    tolerance = {"float64": 1e-10, "float32": 1e-4}[dtype]
    for program in (jax.vmap(squared_distance), jax.jit(jax.vmap(squared_distance))):
        np.testing.assert_allclose(program(jnp.asarray(shifts)), expected, rtol=tolerance, atol=tolerance)


def test_compiled_gradient_of_batched_minima_agrees_with_the_eager_one() -> None:
    """Off by 0.06 in jax 0.12.0: sums of the largest values, of which descriptors of crystals are made."""
    rng = np.random.default_rng(0)
    values, occupation = (jnp.asarray(rng.uniform(-1, 1, size=(8, 40))) for _ in range(2))

    def largest(values: jax.Array, occupation: jax.Array) -> jax.Array:
        excess = jnp.maximum(values[:, None] - values[None, :], 0)
        above = jnp.sum(occupation[:, None] * excess, axis=0)
        places = jnp.arange(7, dtype=values.dtype)
        return jnp.diff(jnp.min(places[None, :] * values[:, None] + above[:, None], axis=0))

    gradient = jax.grad(lambda *rows: jnp.sum(jnp.cos(jax.vmap(largest)(*rows))))
    np.testing.assert_allclose(
        jax.jit(gradient)(values, occupation), gradient(values, occupation), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("package", ["jax", "jaxlib"])
def test_metadata_keep_broken_releases_from_being_installed(package: str) -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
    required = {found.name: found.specifier for found in map(Requirement, project["dependencies"])}
    assert not [release for release in compatibility.BROKEN_JAX if release in required[package]]
    excluded = {each.version.removesuffix(".*") for each in required[package] if each.operator == "!="}
    assert excluded == set(compatibility.BROKEN_JAX)  # one list, written twice
    assert version(package) in required[package]


@pytest.mark.parametrize("package", ["jax", "jaxlib"])
@pytest.mark.parametrize("broken", compatibility.BROKEN_JAX)
def test_broken_releases_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, package: str, broken: str
) -> None:
    monkeypatch.setattr(compatibility, "version", lambda name: broken if name == package else "0.10.1")
    with pytest.raises(ImportError, match=f"{package} {broken}") as refusal:
        compatibility.refuse_broken_jax()
    assert "\n" not in str(refusal.value)


def test_installed_release_is_accepted() -> None:
    assert version("jax") not in compatibility.BROKEN_JAX
    compatibility.refuse_broken_jax()
