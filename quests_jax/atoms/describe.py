"""A data set becomes environments: host threads find the neighbors of structures and describe them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import ase
import jax
import numpy as np

from quests_jax.atoms.descriptor_batches import (
    describe_rows,
    plain_program,
    shared_program,
    weighted_program,
    weighted_shared_program,
)
from quests_jax.atoms.element_channels import (
    CENTER,
    IGNORE,
    N_CHANNELS,
    NEIGHBORS,
    atomic_number,
    channel_weights,
    check_mode,
    check_species,
    numbers_of,
)
from quests_jax.atoms.learned.protocol import Descriptor, describe_all
from quests_jax.atoms.neighbors import find_pairs, nearest, only
from quests_jax.atoms.validation import check_structures, validate
from quests_jax.base.checks import InputError, check_count, check_positive
from quests_jax.base.defaults import DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.environments import Environments, make_environments
from quests_jax.base.precision import double_precision, follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.step_sizes import here

ALONE = 512  # environments up to which one host thread is as fast as several
RUN = 4  # calls of environments that one host thread describes at a time


class Vectors(NamedTuple):
    """Displacement vectors of the environments of a run of structures, ready for the device."""

    plain: np.ndarray  # [n, k, 3] Å; zero rows where the environment is in `tied`
    tied: np.ndarray  # [t] int64, environments whose k-th shell is shared
    shared: np.ndarray  # [t, K, 3] Å
    occupation: np.ndarray  # [t, K]
    plain_numbers: np.ndarray  # [n, k] atomic numbers of the neighbors; 1 where there is none
    shared_numbers: np.ndarray  # [t, K]


@follows_dtype
def environments(
    structures: Sequence[ase.Atoms],
    *,
    k: int = DEFAULT_K,
    cutoff: float = DEFAULT_CUTOFF,
    elements: str | None = None,
    species: Sequence[str] | None = None,
    descriptor: Descriptor | Callable[[ase.Atoms], np.ndarray] | None = None,
) -> Environments:
    """Turn every atom of every structure into an environment (see `quests_descriptor`).

    Args:
      structures: any cells and any periodicity, mixed freely.
      k: number of neighbors.
      cutoff: cutoff radius, in Å.
      elements: "ignore" them, as QUESTS does; tell environments apart by the element of their "center"; or by
        that and by the properties of the elements of the "neighbors" too. "ignore" where not given, "center"
        with species.
      species: chemical symbols of neighbors to be told apart one by one, see `get_descriptors`.
      descriptor: one of `learned` to use instead, or a function of one structure that gives a row per atom;
        k, cutoff, species and the elements of neighbors are then left alone.

    Returns:
      `Environments` with x as `get_descriptors` makes it, in float64, rows in the order of structures and
      atoms, and with the elements of the centers unless those are ignored.

    Raises:
      InputError: no structures, positions or cells that are not finite, a singular periodic cell,
        coincident atoms, parameters that are not positive, a symbol that is no element, or a descriptor
        whose rows do not fit the atoms.

    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> atoms = qj.read(bundled())[0]
    >>> envs = qj.environments([atoms, atoms], k=8, cutoff=4.0)
    >>> envs.n_structures, envs.x.shape[1]  # 2k − 1 numbers of each atom
    (2, 15)
    """
    mode = check_mode(elements or (CENTER if species else IGNORE))
    structures = check_structures(structures)
    counts = np.asarray([len(atoms) for atoms in structures], int)
    if descriptor is None:
        x = get_descriptors(structures, k=k, cutoff=cutoff, elements=mode, species=species)
    else:
        x = _described_by(descriptor, structures)
    number = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return make_environments(x, number, len(counts), None if mode == IGNORE else numbers_of(structures))


@follows_dtype
def get_descriptors(
    structures: Sequence[ase.Atoms],
    *,
    k: int = DEFAULT_K,
    cutoff: float = DEFAULT_CUTOFF,
    elements: str = IGNORE,
    species: Sequence[str] | None = None,
    first: int = 0,
) -> np.ndarray:
    """Descriptors of all environments in Å⁻¹; see `environments`.

    The first block of columns knows no elements: shape [n, 2k − 1]. With `elements` "neighbors", a block of
    2k − 1 follows for each of the four `channel_weights`, in which each neighbor counts by that property of
    its element. With N species, N blocks of 2k − 1 follow instead, each the same descriptor of the neighbors
    of one species alone; zeros where there are none. A species may be absent from a structure or from all of
    them, so data sets described with the same list can be compared. Errors count structures from `first`.

    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> atoms = qj.read(bundled())[0]
    >>> x = qj.get_descriptors([atoms], k=8, cutoff=4.0)  # Å⁻¹
    >>> x.shape == (len(atoms), 15)
    True
    """
    k, cutoff = check_count("k", k, minimum=2), check_positive("cutoff", cutoff)
    if check_mode(elements) == NEIGHBORS and species:
        raise InputError("neighbors are told apart by species or by properties, not both; leave one out.")
    validate(structures, first=first)
    symbols = [None, *(atomic_number(symbol) for symbol in check_species(species))]
    total = sum(map(len, structures))
    start = 0
    x = np.empty((total, descriptor_width(k, elements, species)))
    for number, element in enumerate(symbols):
        describe = partial(_describe, k=k, cutoff=cutoff, element=element, weigh=elements == NEIGHBORS)
        done, width = 0, 0
        for block in in_runs(structures, describe, first):
            width = block.shape[1]
            x[done : done + len(block), start : start + width] = block
            done += len(block)
            advance("descriptors", number * total + done, len(symbols) * total)
        start += width
    return x


def descriptor_width(k: int, elements: str | None = None, species: Sequence[str] | None = None) -> int:
    """Columns d of `get_descriptors`."""
    return (1 + (N_CHANNELS if elements == NEIGHBORS else len(species or ()))) * (2 * k - 1)


def in_runs(
    structures: Sequence[ase.Atoms],
    describe: Callable[[Sequence[ase.Atoms], int], np.ndarray],
    first: int = 0,
) -> Iterator[np.ndarray]:
    """`describe` of runs of structures and the number of their first one, by host threads, in order."""
    workers = os.cpu_count() or 1
    device = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]  # of each thread

    def described(run: slice) -> np.ndarray:
        with jax.default_device(device), double_precision():
            return describe(structures[run], first + run.start)

    with ThreadPoolExecutor(workers) as pool:
        ahead = []
        counts = [len(atoms) for atoms in structures]
        for run in _runs(counts, size=_run_size(sum(counts), workers)):
            ahead.append(pool.submit(described, run))
            if len(ahead) > workers:
                yield ahead.pop(0).result()
        for waiting in ahead:
            yield waiting.result()


def _runs(counts: Sequence[int], size: int) -> Iterator[slice]:
    """Slices of structures that together hold about `size` atoms."""
    start, atoms = 0, 0
    for stop, count in enumerate(counts, start=1):
        atoms += count
        if atoms >= size or stop == len(counts):
            yield slice(start, stop)
            start, atoms = stop, 0


def _run_size(total: int, workers: int) -> int:
    """Environments of a run, about `RUN` calls, so that all workers have as many; few are not divided."""
    rounds = max(1, -(-total // (workers * RUN * here().environments)))
    return max(ALONE, -(-total // (workers * rounds)))


def _described_by(
    descriptor: Descriptor | Callable[[ase.Atoms], np.ndarray], structures: Sequence[ase.Atoms]
) -> np.ndarray:
    validate(structures)
    if not isinstance(descriptor, Descriptor):
        of_one = descriptor
        descriptor = Descriptor("function", lambda structures: [of_one(atoms) for atoms in structures])
    return describe_all(descriptor, structures)


def _describe(
    structures: Sequence[ase.Atoms], first: int, *, k: int, cutoff: float, element: int | None, weigh: bool
) -> np.ndarray:
    vectors = _vectors(structures, first, k, cutoff, element)
    x = describe_rows(plain_program, k, cutoff, vectors.plain)
    x[vectors.tied] = describe_rows(shared_program, k, cutoff, vectors.shared, vectors.occupation)
    if not weigh:
        return x
    plain_weights, shared_weights = map(channel_weights, (vectors.plain_numbers, vectors.shared_numbers))
    blocks = [x]
    for channel in range(N_CHANNELS):
        rows, shared = (
            np.concatenate([part, weights[..., channel, None]], axis=-1)
            for part, weights in ((vectors.plain, plain_weights), (vectors.shared, shared_weights))
        )
        block = describe_rows(weighted_program, k, cutoff, rows)
        block[vectors.tied] = describe_rows(weighted_shared_program, k, cutoff, shared, vectors.occupation)
        blocks.append(block)
    return np.concatenate(blocks, axis=1)


def _vectors(
    structures: Sequence[ase.Atoms], first: int, k: int, cutoff: float, element: int | None
) -> Vectors:
    pairs = find_pairs(structures, cutoff=cutoff, first=first, k=k if element is None else None)
    numbers = numbers_of(structures)
    if element is not None:
        pairs = only(pairs, numbers[pairs.neighbor] == element)
    plain, shared = nearest(pairs, k=k)
    vector = pairs.vector if len(pairs.vector) else np.zeros((1, 3))
    full = np.zeros((pairs.n_atoms, k, 3))
    full[plain.atoms] = vector[plain.pair] * (plain.occupation > 0)[..., None]
    wide = vector[shared.pair] * (shared.occupation > 0)[..., None]
    of_pair = numbers[pairs.neighbor] if len(pairs.vector) else np.ones(1, np.int32)
    near = np.ones(full.shape[:2], np.int32)
    near[plain.atoms] = of_pair[plain.pair]
    return Vectors(full, shared.atoms, wide, shared.occupation, near, of_pair[shared.pair])
