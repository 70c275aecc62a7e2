"""A data set becomes environments: host threads find the neighbors of structures and describe them."""

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

from quests_jax.atoms.descriptors import mean_of_sorted, quests_descriptor, shared_descriptor, unsorted_terms
from quests_jax.atoms.neighbors import find_pairs, nearest, only
from quests_jax.atoms.structures import validate
from quests_jax.checks import InputError, check_count, check_positive
from quests_jax.chunks import advance
from quests_jax.environments import Environments, make_environments

ROWS = 256  # environments per call: one compiled program whatever the sizes of the structures
SHARED_ROWS = 32
IN_CACHE = 16  # environments whose terms wait for the sort; divides ROWS
UNSORTED = 8  # environments whose terms are computed at a time
SORTED = 2  # environments sorted at a time; divides IN_CACHE
RUN = 2048  # environments that one host thread describes at a time


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
        for block in _blocks(structures, first, k, cutoff, element):
            x[done : done + len(block), columns] = block
            done += len(block)
            advance("descriptors", number * total + done, len(elements) * total)
    return x


def _blocks(
    structures: Sequence[ase.Atoms], first: int, k: int, cutoff: float, element: int | None
) -> Iterator[np.ndarray]:
    """Descriptors of runs of structures in order, made by host threads a little ahead of their use."""
    workers = os.cpu_count() or 1
    device = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]  # of each thread

    def described(run: slice) -> np.ndarray:
        vectors = _vectors(structures[run], first + run.start, k, cutoff, element)
        with jax.default_device(device):
            x = describe_rows(_plain_program, ROWS, k, cutoff, vectors.plain)
            shared = vectors.shared, vectors.occupation
            x[vectors.tied] = describe_rows(_shared_program, SHARED_ROWS, k, cutoff, *shared)
        return x

    with ThreadPoolExecutor(workers) as pool:
        ahead = []
        counts = [len(atoms) for atoms in structures]
        for run in runs(counts, size=min(RUN, max(ROWS, -(-sum(counts) // workers)))):
            ahead.append(pool.submit(described, run))
            if len(ahead) > workers:
                yield ahead.pop(0).result()
        for waiting in ahead:
            yield waiting.result()


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
    """`quests_descriptor` of each of [n, k, 3].

    On a CPU in cache, and with all terms complete before they are sorted: a compiler that fuses the two
    computes each term anew in every stage of the sort that it takes in.
    """

    def block(vectors):
        terms = partial(unsorted_terms, cutoff=cutoff)
        radial, cross = jax.lax.map(terms, vectors, batch_size=UNSORTED)
        together = jnp.moveaxis(cross.reshape(-1, SORTED, k, k), 1, 2)
        means = jnp.moveaxis(jax.lax.map(mean_of_sorted, together), 1, 2)
        return jnp.concatenate([radial, means.reshape(-1, k - 1)], axis=1)

    def in_cache(vectors):
        return jax.lax.map(block, vectors.reshape(-1, IN_CACHE, k, 3)).reshape(len(vectors), -1)

    at_once = jax.vmap(partial(quests_descriptor, cutoff=cutoff))
    return jax.lax.platform_dependent(vectors, cpu=in_cache, default=at_once)


@partial(jax.jit, static_argnames=("k", "cutoff"))
def _shared_program(vectors: jax.Array, occupation: jax.Array, *, k: int, cutoff: float) -> jax.Array:
    describe = partial(shared_descriptor, k=k, cutoff=cutoff)
    return jax.vmap(describe)(vectors, occupation)


def describe_rows(program: Callable, size: int, k: int, cutoff: float, *rows: np.ndarray) -> np.ndarray:
    """Descriptors by calls of one shape, so that one program serves every data set."""
    pending = []
    for start in range(0, len(rows[0]), size):
        part = [_padded(column[start : start + size], size) for column in rows]
        pending.append(program(*part, k=k, cutoff=cutoff))
    x = np.empty((len(rows[0]), 2 * k - 1))
    for number, result in enumerate(pending):
        start = number * size
        x[start : start + size] = np.asarray(result)[: len(x) - start]
    return x


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([rows, np.zeros((size - len(rows), *rows.shape[1:]))]) if len(rows) < size else rows


def _vectors(
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


def runs(counts: Sequence[int], size: int = RUN) -> Iterator[slice]:
    """Slices of structures that together hold about `size` atoms."""
    start, atoms = 0, 0
    for stop, count in enumerate(counts, start=1):
        atoms += count
        if atoms >= size or stop == len(counts):
            yield slice(start, stop)
            start, atoms = stop, 0
