"""The miscompilation that some releases of jax have, and their refusal."""

from __future__ import annotations

from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quests_jax import compatibility


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
