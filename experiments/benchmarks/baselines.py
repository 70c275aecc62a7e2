"""What the machine can do: the roofline of a dense kernel sum, and a dense kernel sum in NumPy."""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from measuring import Contender, Sample

TILES = (128, 256, 512, 1024)
STACK = 4  # tiles taken in turn, so that a product is not the same as the one before
SAMPLE = 30_000_000  # pairs per measurement of a rate
ROWS = 1024  # of one block of the NumPy version


class Roofline(NamedTuple):
    """The tile at which matrix products are fastest, the tile at which exp is, and the rates there."""

    dtype: str
    product_tile: int
    exp_tile: int
    products_per_second: float
    exps_per_second: float
    sample: int = SAMPLE

    def sampler(self, pairs: float) -> Contender:
        """A contender that measures both rates now and says how long `pairs` would take at them."""

        def run() -> Sample:
            product = _product_seconds(self.product_tile, self.dtype, self.sample)
            return Sample(pairs * (product + _exp_seconds(self.exp_tile, self.dtype, self.sample)))

        return run


def measure_roofline(
    dtype: str, rounds: int, tiles: tuple[int, ...] = TILES, sample: int = SAMPLE
) -> Roofline:
    """Best rates of products [tile, 63] x [63, tile] and of exp over [tile, tile], both within cache."""
    product = {tile: min(_product_seconds(tile, dtype, sample) for _ in range(rounds + 1)) for tile in tiles}
    exp = {tile: min(_exp_seconds(tile, dtype, sample) for _ in range(rounds + 1)) for tile in tiles}
    fastest, quickest = min(product, key=product.__getitem__), min(exp, key=exp.__getitem__)
    return Roofline(dtype, fastest, quickest, 1 / product[fastest], 1 / exp[quickest], sample)


def dense_entropy(x: np.ndarray, bandwidth: float = 0.015) -> float:
    """H of x [n, d] in NumPy: BLAS products of blocks of rows with all rows, exp and sum in place."""
    scaled = (x - x.mean(axis=0)) / bandwidth
    half = 0.5 * np.sum(scaled**2, axis=1)
    p = np.empty(len(x), x.dtype)
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        block = scaled[rows] @ scaled.T
        block -= half[rows, None]
        block -= half
        p[rows] = np.exp(block, out=block).sum(axis=1)
    return float(-np.mean(np.log(p / len(x))))


def _product_seconds(tile: int, dtype: str, sample: int) -> float:
    """Time per pair of the product, without what one call costs by itself."""
    random = np.random.default_rng(0)
    a, b = (jnp.asarray(random.normal(size=(STACK, tile, 63)), dtype) for _ in range(2))
    return _seconds_per_pair(partial(_products, a, b.swapaxes(1, 2)), tile, sample)


def _exp_seconds(tile: int, dtype: str, sample: int) -> float:
    exponents = jnp.asarray(np.random.default_rng(0).uniform(0, 8, (tile, tile)), dtype)
    return _seconds_per_pair(partial(_exps, exponents), tile, sample)


def _seconds_per_pair(work, tile: int, sample: int) -> float:
    repeats = sample // tile**2
    jax.block_until_ready(work(1))
    start = time.perf_counter()
    jax.block_until_ready(work(repeats))
    return (time.perf_counter() - start) / (repeats * tile**2)


@jax.jit
def _products(a: jax.Array, b: jax.Array, repeats: jax.Array) -> jax.Array:
    start = jnp.zeros((a.shape[1], a.shape[1]), a.dtype)
    return jax.lax.fori_loop(0, repeats, lambda i, _: a[i % STACK] @ b[i % STACK], start)


@jax.jit
def _exps(exponents: jax.Array, repeats: jax.Array) -> jax.Array:
    return jax.lax.fori_loop(0, repeats, lambda _, s: jnp.exp(-s), exponents)
