"""A data set becomes environments: neighbors are found on the host while the device describes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.atoms.descriptors import quests_descriptor, shared_descriptor
from quests_jax.atoms.neighbors import find_pairs, nearest
from quests_jax.atoms.structures import validate
from quests_jax.checks import check_count, check_positive
from quests_jax.chunks import advance
from quests_jax.environments import Environments

ROWS = 256  # environments per call: one compiled program whatever the sizes of the structures
SHARED_ROWS = 64
IN_CACHE = 128  # environments sorted at a time
RUN = 4096  # environments whose neighbors one host thread finds at a time


class Vectors(NamedTuple):
    """Displacement vectors of the environments of a run of structures, ready for the device."""

    plain: np.ndarray  # [n, k, 3] Å; zero rows where the environment is in `tied`
    tied: np.ndarray  # [t] int64, environments whose k-th shell is shared
    shared: np.ndarray  # [t, K, 3] Å
    occupation: np.ndarray  # [t, K]


def environments(structures: Sequence[ase.Atoms], *, k: int = 32, cutoff: float = 5.0) -> Environments:
    """Turn every atom of every structure into an environment (see `quests_descriptor`).

    Args:
      structures: any cells and any periodicity, mixed freely.
      k: number of neighbors.
      cutoff: in Å.

    Returns:
      `Environments` with x of shape [n, 2k − 1] in float64, rows in the order of structures and atoms.

    Raises:
      InputError: no structures, positions or cells that are not finite, a singular periodic cell,
        coincident atoms, or parameters that are not positive.
    """
    counts = np.asarray([len(atoms) for atoms in structures], int)
    x = get_descriptors(structures, k=k, cutoff=cutoff)
    return Environments(x, np.repeat(np.arange(len(counts), dtype=np.int32), counts), len(counts))


def get_descriptors(structures: Sequence[ase.Atoms], *, k: int = 32, cutoff: float = 5.0) -> np.ndarray:
    """Descriptors of all environments, shape [n, 2k − 1] in Å⁻¹; see `environments`."""
    k, cutoff = check_count("k", k, minimum=2), check_positive("cutoff", cutoff)
    validate(structures)
    total = sum(map(len, structures))
    x, done, tied = np.empty((total, 2 * k - 1)), 0, {}
    for vectors in _vectors(structures, k, cutoff):
        _describe(_plain_program, ROWS, x[done : done + len(vectors.plain)], k, cutoff, vectors.plain)
        if len(vectors.tied):
            columns = (vectors.tied + done, vectors.shared, vectors.occupation)
            tied.setdefault(vectors.shared.shape[1], []).append(columns)
        done += len(vectors.plain)
        advance("descriptors", done, total)
    for parts in tied.values():  # few rows in each run, so they wait for one another
        rows, shared, occupation = map(np.concatenate, zip(*parts, strict=True))
        described = np.empty((len(rows), 2 * k - 1))
        _describe(_shared_program, SHARED_ROWS, described, k, cutoff, shared, occupation)
        x[rows] = described
    return x


@partial(jax.jit, static_argnames=("k", "cutoff"))
def _plain_program(vectors: jax.Array, *, k: int, cutoff: float) -> jax.Array:
    del k
    return jax.lax.map(partial(quests_descriptor, cutoff=cutoff), vectors, batch_size=IN_CACHE)


@partial(jax.jit, static_argnames=("k", "cutoff"))
def _shared_program(vectors: jax.Array, occupation: jax.Array, *, k: int, cutoff: float) -> jax.Array:
    describe = partial(shared_descriptor, k=k, cutoff=cutoff)
    return jax.vmap(describe)(vectors, occupation)


def _describe(program, size: int, out: np.ndarray, k: int, cutoff: float, *rows: np.ndarray) -> None:
    """Fill `out` by calls of one shape, so that one program serves every data set."""
    pending = []
    for start in range(0, len(out), size):
        part = [_padded(column[start : start + size], size) for column in rows]
        pending.append(program(*map(jnp.asarray, part), k=k, cutoff=cutoff))
    for number, result in enumerate(pending):
        start = number * size
        out[start : start + size] = np.asarray(result)[: len(out) - start]


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([rows, np.zeros((size - len(rows), *rows.shape[1:]))]) if len(rows) < size else rows


def _vectors(structures: Sequence[ase.Atoms], k: int, cutoff: float) -> Iterator[Vectors]:
    """Vectors of runs of structures in order, found by host threads a little ahead of their use."""
    runs = list(_runs([len(atoms) for atoms in structures], RUN))
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        ahead = []
        for run in runs:
            ahead.append(pool.submit(_vectors_of, structures[run], run.start, k, cutoff))
            if len(ahead) > workers:
                yield ahead.pop(0).result()
        for waiting in ahead:
            yield waiting.result()


def _vectors_of(structures: Sequence[ase.Atoms], first: int, k: int, cutoff: float) -> Vectors:
    pairs = find_pairs(structures, cutoff=cutoff, first=first)
    plain, shared = nearest(pairs, k=k)
    vector = pairs.vector if len(pairs.vector) else np.zeros((1, 3))
    full = np.zeros((pairs.n_atoms, k, 3))
    full[plain.atoms] = vector[plain.pair] * (plain.occupation > 0)[..., None]
    wide = vector[shared.pair] * (shared.occupation > 0)[..., None]
    return Vectors(full, shared.atoms, wide, shared.occupation)


def _runs(counts: Sequence[int], size: int) -> Iterator[slice]:
    """Slices of structures that together hold about `size` atoms."""
    start, atoms = 0, 0
    for stop, count in enumerate(counts, start=1):
        atoms += count
        if atoms >= size or stop == len(counts):
            yield slice(start, stop)
            start, atoms = stop, 0
