"""A data set becomes environments: neighbors are found on the host while the device describes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from ase.data import atomic_numbers

from quests_jax.atoms.descriptors import quests_descriptor, shared_descriptor
from quests_jax.atoms.neighbors import find_pairs, nearest, only
from quests_jax.atoms.structures import validate
from quests_jax.checks import InputError, check_count, check_positive
from quests_jax.chunks import advance
from quests_jax.environments import Environments, make_environments

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


def environments(
    structures: Sequence[ase.Atoms],
    *,
    k: int = 32,
    cutoff: float = 5.0,
    species: Sequence[str] | None = None,
    descriptor: Callable[[ase.Atoms], np.ndarray] | None = None,
) -> Environments:
    """Turn every atom of every structure into an environment (see `quests_descriptor`).

    Args:
      structures: any cells and any periodicity, mixed freely.
      k: number of neighbors.
      cutoff: in Å.
      species: chemical symbols to be told apart, see `get_descriptors`.
      descriptor: a function of one structure to use instead, one row per atom; k, cutoff and species are
        then left alone.

    Returns:
      `Environments` with x of shape [n, (N + 1)(2k − 1)] for N species, in float64, rows in the order of
      structures and atoms.

    Raises:
      InputError: no structures, positions or cells that are not finite, a singular periodic cell,
        coincident atoms, parameters that are not positive, a symbol that is no element, or a descriptor
        whose rows do not fit the atoms.
    """
    counts = np.asarray([len(atoms) for atoms in structures], int)
    if descriptor is None:
        x = get_descriptors(structures, k=k, cutoff=cutoff, species=species)
    else:
        x = _described_by(descriptor, structures)
    number = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return make_environments(x, number, len(counts))


def get_descriptors(
    structures: Sequence[ase.Atoms],
    *,
    k: int = 32,
    cutoff: float = 5.0,
    species: Sequence[str] | None = None,
    first: int = 0,
) -> np.ndarray:
    """Descriptors of all environments in Å⁻¹; see `environments`.

    Without species, chemistry does not count: shape [n, 2k − 1]. With N species, N blocks of 2k − 1 follow,
    each the same descriptor of the neighbors of one species alone; zeros where there are none. A species may
    be absent from a structure or from all of them, so data sets described with the same list can be compared.
    Errors count structures from `first`.
    """
    k, cutoff = check_count("k", k, minimum=2), check_positive("cutoff", cutoff)
    validate(structures, first=first)
    elements = [None, *(_atomic_number(symbol) for symbol in species or ())]
    total = sum(map(len, structures))
    x = np.empty((total, len(elements) * (2 * k - 1)))
    for number, element in enumerate(elements):
        columns = slice(number * (2 * k - 1), (number + 1) * (2 * k - 1))
        done = 0
        for rows, block in _blocks(structures, first, k, cutoff, element):
            x[rows, columns] = block
            if rows[-1] >= done:  # rows with a shared shell come again, at the end
                done = int(rows[-1]) + 1
                advance("descriptors", number * total + done, len(elements) * total)
    return x


def _blocks(
    structures: Sequence[ase.Atoms], first: int, k: int, cutoff: float, element: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and their descriptors, run by run; those with a shared shell at the end, all together."""
    start, tied = 0, {}
    for vectors in _vectors(structures, first, k, cutoff, element):
        described = np.empty((len(vectors.plain), 2 * k - 1))
        _describe(_plain_program, ROWS, described, k, cutoff, vectors.plain)
        yield np.arange(start, start + len(described)), described
        if len(vectors.tied):
            columns = (vectors.tied + start, vectors.shared, vectors.occupation)
            tied.setdefault(vectors.shared.shape[1], []).append(columns)
        start += len(described)
    for parts in tied.values():  # few rows in each run, so they wait for one another
        rows, shared, occupation = map(np.concatenate, zip(*parts, strict=True))
        described = np.empty((len(rows), 2 * k - 1))
        _describe(_shared_program, SHARED_ROWS, described, k, cutoff, shared, occupation)
        yield rows, described


def _described_by(
    descriptor: Callable[[ase.Atoms], np.ndarray], structures: Sequence[ase.Atoms]
) -> np.ndarray:
    validate(structures)
    rows = []
    for number, atoms in enumerate(structures):
        x = np.asarray(descriptor(atoms))
        if x.ndim != 2 or len(x) != len(atoms):
            raise InputError(
                f"structure {number}: the descriptor has shape {x.shape} for {len(atoms)} atoms; "
                "give one row per atom."
            )
        rows.append(x)
        advance("descriptors", number + 1, len(structures))
    return np.concatenate(rows)


def _atomic_number(symbol: str) -> int:
    if symbol not in atomic_numbers:
        raise InputError(f"species: {symbol!r} is no chemical symbol; write them like Na or Cl.")
    return atomic_numbers[symbol]


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


def _vectors(
    structures: Sequence[ase.Atoms], first: int, k: int, cutoff: float, element: int | None
) -> Iterator[Vectors]:
    """Vectors of runs of structures in order, found by host threads a little ahead of their use."""
    runs = list(_runs([len(atoms) for atoms in structures], RUN))
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        ahead = []
        for run in runs:
            ahead.append(pool.submit(_vectors_of, structures[run], first + run.start, k, cutoff, element))
            if len(ahead) > workers:
                yield ahead.pop(0).result()
        for waiting in ahead:
            yield waiting.result()


def _vectors_of(
    structures: Sequence[ase.Atoms], first: int, k: int, cutoff: float, element: int | None
) -> Vectors:
    pairs = find_pairs(structures, cutoff=cutoff, first=first)
    if element is not None:
        pairs = only(
            pairs, np.concatenate([atoms.numbers for atoms in structures])[pairs.neighbor] == element
        )
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
