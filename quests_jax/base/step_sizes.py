"""Sizes of the work that a platform does at a time: the same mathematics everywhere, in steps that suit it.

A CPU is fast within its caches, an accelerator where a step is some GFLOP. No result depends on these numbers
by more than rounding. They stand here once: who needs one asks for the `Platform`, and tests try others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import jax

# Rows of a tile: few enough to skip much, enough for a good matrix product. Sizes are filled up to whole
# tiles before a program knows its platform, so it is the same on all of them.
TILE = 256


class Platform(NamedTuple):
    """How much is done in one step."""

    pairs: int  # pairs of tiles that are formed at a time
    listed: int  # pairs of tiles that are looked through for near ones at a time
    dense: int  # pairs of rows up to which all are formed at once
    features: int  # whose differences are squared and added in one pass
    repairs_in_double: bool  # whether products of float32 that are too coarse are formed in float64
    members_together: bool  # whether data sets of a `vmap` are summed side by side, as far as pairs go
    sums_by_products: bool  # whether a sum over an axis is faster as a product with a vector
    candidates: (
        int  # structures, or groups of environments, whose bounds a search brings up to date at a time
    )
    rows_shown: int  # of what is chosen, that these are shown at a time
    fused: str  # "compiled" or "interpreted" where a kernel of its own sums plain pairs, "" where XLA does
    distances: (
        int  # of atoms that are formed at a time to find neighbors; 0 where vesin finds them on the CPU
    )
    environments: int  # that one call describes
    pieces: int  # that an interval is cut into in one step of a search for a zero


CPU = Platform(
    pairs=4,  # 4 tiles of 256² float64 stay in the second-level cache
    listed=2**12,
    dense=2**18,  # 2 MB in float64
    features=16,
    repairs_in_double=True,
    members_together=False,  # a CPU does not gain by it: two small sets do not stay in the cache of one
    sums_by_products=True,
    candidates=1,
    rows_shown=256,
    fused="",
    distances=0,
    environments=512,
    pieces=2,
)
ACCELERATOR = Platform(
    pairs=2048,  # 17 GFLOP of products of 63 features, and 0.5 GB of kernels in float32
    listed=2**18,
    dense=2**24,
    features=64,
    repairs_in_double=False,
    members_together=True,
    sums_by_products=False,
    candidates=16,
    rows_shown=4096,
    fused="",
    distances=2**26,
    environments=2**15,
    pieces=128,
)
# As an H200 showed (experiments/benchmarks/NOTES.md): of differences that are added in one pass it keeps a
# tile for every second one, and products in float64 cost it no more than others.
OTHER_GPU = ACCELERATOR._replace(features=8)
GPU = OTHER_GPU._replace(repairs_in_double=True, fused="compiled")
FAST_IN_FLOAT64 = ("8.0", "9.0", "10.0")  # A100, H100 and H200, B200; they know TF32, too

_table = {"cpu": CPU, "gpu": GPU, "tpu": ACCELERATOR}


def platform_of(name: str) -> Platform:
    """The sizes of a platform by its name in JAX ("cpu", "gpu" or "tpu")."""
    found = _table[name]
    return OTHER_GPU if found is GPU and not _is_like_the_measured() else found


def here() -> Platform:
    """The sizes of the platform that JAX computes on where nothing else is said."""
    backend = jax.default_backend()
    return platform_of(backend) if backend in _table else ACCELERATOR


@cache
def _is_like_the_measured() -> bool:
    """Whether there is a GPU of the kind that was measured, and what its kernels are written in."""
    try:
        from jax.experimental.pallas import triton  # noqa: F401  (JAX means to drop it)

        return jax.devices("gpu")[0].compute_capability in FAST_IN_FLOAT64
    except (ImportError, RuntimeError, AttributeError):
        return False


@contextmanager
def computing_as(platform: Platform) -> Iterator[None]:
    """Let every platform work in the steps of this one; compiled programs are forgotten before and after."""
    before = dict(_table)
    _table.update(dict.fromkeys(before, platform))
    jax.clear_caches()
    try:
        yield
    finally:
        _table.update(before)
        jax.clear_caches()
