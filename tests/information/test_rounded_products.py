"""What accelerators do to products of float32: the laws hold as they are asked, and would not otherwise.

A GPU that is not asked for more rounds what it multiplies to TF32 (10 bits behind the leading one), a TPU to
bfloat16 (7 bits). Asked for the highest precision, a GPU rounds nothing and a TPU adds six products of the
three bfloat16 parts of each number; the fused kernels of a GPU add three of the two TF32 parts. All are
emulated here where products are lowered, the only place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import kernel_oracle as oracle
import numpy as np
import pytest
from jax.extend.core.primitives import dot_general_p
from jax.interpreters import mlir

from quests_jax.base.step_sizes import ACCELERATOR, computing_as
from quests_jax.information import delta_entropy, entropy, structure_masses
from quests_jax.information.sums.exponents import plain_exponents

pytestmark = pytest.mark.slow

BITS = {"TF32": 10, "bfloat16": 7}
PARTS = {  # of which each number is the sum
    "TF32": 1,
    "bfloat16": 1,
    "three products of TF32": 2,
    "three products": 2,
    "six products": 3,
}
H, N, D = 0.3, 768, 8
RNG = np.random.default_rng(0)
X = np.repeat(RNG.normal(size=(3, D)), N // 3, axis=0) + 0.3 * RNG.normal(size=(N, D))  # within 6 h: no care
Y = X[::3] + 0.1 * RNG.normal(size=(N // 3, D))
NUMBER = np.arange(N) // 10


def rounded(x: jax.Array, bits: int) -> jax.Array:
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=bits)


def product(a: jax.Array, b: jax.Array, way: str, **how: Any) -> jax.Array:
    """a · b of float32 as a device makes it; what it adds up is exact."""

    def parts(x: jax.Array) -> list[jax.Array]:
        found = []
        for _ in range(PARTS[way]):
            found.append(rounded(x, BITS["TF32" if "TF32" in way else "bfloat16"]))
            x = x - found[-1]
        return [part.astype(jnp.float64) for part in found]

    of_a, of_b = parts(a), parts(b)
    how |= {"precision": None, "preferred_element_type": None}
    terms = [
        dot_general_p.bind(p, q, **how)
        for i, p in enumerate(of_a)
        for j, q in enumerate(of_b)
        if i + j < PARTS[way]
    ]
    return sum(terms).astype(jnp.float32)


@contextmanager
def multiplying(way: str) -> Iterator[None]:
    """Make every product of float32 one of that kind, whatever precision it asks for."""
    lowerings = mlir._platform_specific_lowerings["cpu"]
    usual = lowerings[dot_general_p]

    def lowering(ctx: Any, a: Any, b: Any, **how: Any) -> Any:
        if ctx.avals_in[0].dtype != jnp.float32:
            return usual.rule(ctx, a, b, **how)
        return mlir.lower_fun(lambda a, b: product(a, b, way, **how), multiple_results=False)(ctx, a, b)

    with computing_as(ACCELERATOR._replace(pairs=8, dense=0)):
        mlir.register_lowering(dot_general_p, lowering, platform="cpu")
        try:
            yield
        finally:
            lowerings[dot_general_p] = usual
            jax.clear_caches()


def equations() -> list[np.ndarray]:
    """Entropy, its slope in units of the largest number, delta entropies and masses, by loops over pairs."""
    own, cross = oracle.kernel(X, X, H), oracle.kernel(Y, X, H)
    p = own.sum(axis=1)
    pull = own * (1 / p[:, None] + 1 / p[None])
    slope = X * pull.sum(axis=1, keepdims=True) - pull @ X
    masses = np.stack([cross[:, NUMBER == s].sum(axis=1) for s in range(N // 10 + 1)])
    return [np.array(-np.log(p / N).mean()), slope / np.abs(slope).max(), -np.log(cross.sum(axis=1)), masses]


def error(found: jax.Array, exact: np.ndarray) -> float:
    return float(np.abs(np.asarray(found, np.float64) - exact).max())


def test_six_products_of_bfloat16_keep_the_laws_of_float32() -> None:
    x, y = X.astype(np.float32), Y.astype(np.float32)
    with multiplying("six products"):
        value, slope = jax.value_and_grad(lambda x: entropy(x, bandwidth=H))(x)
        delta = delta_entropy(y, x, bandwidth=H)
        masses = structure_masses(y, x, NUMBER, N // 10 + 1, bandwidth=H)
    found = value, slope / np.abs(slope).max(), delta, masses
    of_value, of_slope, *of_others = (error(a, b) for a, b in zip(found, equations(), strict=True))
    assert max(of_value, *of_others) < 2e-5
    assert of_slope < 2e-4


@pytest.mark.parametrize(("way", "least"), [("TF32", 1e-3), ("three products", 3e-5)])
def test_whatever_rounds_more_breaks_them(way: str, least: float) -> None:
    """A delta entropy errs by more already."""
    with multiplying(way):
        delta = delta_entropy(Y.astype(np.float32), X.astype(np.float32), bandwidth=H)
    assert error(delta, equations()[2]) > least


@pytest.mark.parametrize("way", PARTS)
def test_exponents_err_by_what_is_multiplied(way: str) -> None:
    """|error| ≤ 1.5 · 2⁻ᵇ r² for factors of b bits; r is the distance from the center in bandwidths."""
    bits = BITS | {"three products of TF32": 22, "three products": 14, "six products": 22}
    a, b = (6.5 * (v / np.linalg.norm(v, axis=2, keepdims=True)) for v in RNG.normal(size=(2, 1, 200, 63)))
    near = a + 0.5 * (b - a)
    whole = -0.5 * ((a[:, :, None] - near[:, None]) ** 2).sum(axis=-1)
    with multiplying(way):
        found = jax.jit(plain_exponents)(jnp.asarray(a, jnp.float32), jnp.asarray(near, jnp.float32))
        error = np.abs(np.asarray(found, np.float64) - whole).max()
    assert error <= 1.5 * 2.0 ** -bits[way] * 6.5**2
    if way in BITS:
        assert error > 0.01 * 2.0 ** -bits[way] * 6.5**2
