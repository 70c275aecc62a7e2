"""Many environments by calls of one shape, so that one compiled program serves every data set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.atoms.descriptors import (
    descriptor_of_terms,
    mean_of_sorted,
    shared_descriptor,
    unsorted_terms,
)
from quests_jax.base.compiled_programs import jit
from quests_jax.base.padding import padded_size
from quests_jax.base.precision import follows_dtype
from quests_jax.base.step_sizes import here

IN_CACHE = 16  # environments whose terms wait for the sort; divides the rows of a call
UNSORTED = 8  # environments whose terms are computed at a time
SORTED = 2  # environments sorted at a time; divides IN_CACHE
SHARED = 32  # environments with a shared shell described at a time; divides the rows of a call

_compiling = threading.Lock()
_compiled: set[Hashable] = set()


@follows_dtype
def describe_rows(program: Callable, k: int, cutoff: float, *rows: np.ndarray) -> np.ndarray:
    """Descriptors [n, 2k − 1] of any number of rows by a `program` such as `plain_program`."""
    size = min(here().environments, padded_size(max(1, len(rows[0])), smallest=512))
    pending = []
    for start in range(0, len(rows[0]), size):
        part = [column[start : start + size] for column in rows]
        padded = (_padded(column, size) for column in part)
        pending.append(_call(program, len(part[0]), *padded, k=k, cutoff=cutoff))
    x = np.empty((len(rows[0]), 2 * k - 1))
    for number, result in enumerate(pending):
        start = number * size
        x[start : start + size] = np.asarray(result)[: len(x) - start]
    return x


@partial(jit, static_argnames=("k", "cutoff"))
def plain_program(count: ArrayLike, vectors: jax.Array, *, k: int, cutoff: float) -> jax.Array:
    """`quests_descriptor` of the first `count` of [r, k, 3]."""
    del k
    return from_terms(partial(unsorted_terms, cutoff=cutoff), count, vectors)


@partial(jit, static_argnames=("k", "cutoff"))
def shared_program(
    count: ArrayLike, vectors: jax.Array, occupation: jax.Array, *, k: int, cutoff: float
) -> jax.Array:
    """`shared_descriptor` of the first `count` of [r, K, 3] with occupations [r, K]."""
    describe = jax.vmap(partial(shared_descriptor, k=k, cutoff=cutoff))
    return _on_platform(partial(_by_blocks, describe, SHARED), describe, count, vectors, occupation)


@partial(jit, static_argnames=("k", "cutoff"))
def weighted_program(count: ArrayLike, rows: jax.Array, *, k: int, cutoff: float) -> jax.Array:
    """`quests_descriptor` of the first `count` of [r, k, 4], vectors and weights of neighbors."""
    del k
    return from_terms(lambda row: unsorted_terms(row[:, :3], cutoff=cutoff, weights=row[:, 3]), count, rows)


@partial(jit, static_argnames=("k", "cutoff"))
def weighted_shared_program(
    count: ArrayLike, rows: jax.Array, occupation: jax.Array, *, k: int, cutoff: float
) -> jax.Array:
    """`shared_descriptor` of the first `count` of [r, K, 4] with occupations [r, K]."""

    def one(row, occupation):
        return shared_descriptor(row[:, :3], occupation, k=k, cutoff=cutoff, weights=row[:, 3])

    describe = jax.vmap(one)
    return _on_platform(partial(_by_blocks, describe, SHARED), describe, count, rows, occupation)


def from_terms(terms: Callable, count: ArrayLike, vectors: jax.Array) -> jax.Array:
    """Descriptors of the first `count` rows, where `terms` of one row are as those of `unsorted_terms`.

    On CPUs, terms are materialised in cache before they are sorted: a compiler that fuses the two
    computes each term anew in every stage of the sort that it takes in.
    """

    def in_cache(vectors):
        radial, cross = jax.lax.map(terms, vectors, batch_size=UNSORTED)
        together = jnp.moveaxis(cross.reshape(-1, SORTED, *cross.shape[1:]), 1, 2)
        means = jnp.moveaxis(jax.lax.map(mean_of_sorted, together), 1, 2)
        return jnp.concatenate([radial, means.reshape(len(radial), -1)], axis=1)

    at_once = jax.vmap(lambda vectors: descriptor_of_terms(*terms(vectors)))
    return _on_platform(partial(_by_blocks, in_cache, IN_CACHE), at_once, count, vectors)


def _on_platform(on_cpu: Callable, elsewhere: Callable, count: ArrayLike, *rows: jax.Array) -> jax.Array:
    """`on_cpu` of count and rows, or `elsewhere` of all rows, by the platform that runs the program."""

    def all_rows(count, *rows):
        del count
        return elsewhere(*rows)

    return jax.lax.platform_dependent(count, *rows, cpu=on_cpu, default=all_rows)


def _by_blocks(describe: Callable, size: int, count: jax.Array, *rows: jax.Array) -> jax.Array:
    """`describe` of `size` rows at a time until `count` is reached; zeros are left for the others."""
    blocks = [column.reshape(-1, size, *column.shape[1:]) for column in rows]
    block = jax.eval_shape(describe, *(column[0] for column in blocks))

    def step(number, x):
        return x.at[number].set(describe(*(column[number] for column in blocks)))

    x = jnp.zeros((len(blocks[0]), *block.shape), block.dtype)
    return jax.lax.fori_loop(0, -(-count // size), step, x).reshape(-1, *block.shape[1:])


def _call(program: Callable, count: int, *rows: np.ndarray, k: int, cutoff: float) -> jax.Array:
    """The program's result; host threads that need it for the first time at once would compile it each."""
    shapes = program, k, cutoff, *(column.shape for column in rows)
    if shapes in _compiled:
        return program(count, *rows, k=k, cutoff=cutoff)
    with _compiling:
        x = program(count, *rows, k=k, cutoff=cutoff)
    _compiled.add(shapes)
    return x


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(rows)
    return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]))]) if missing else rows
