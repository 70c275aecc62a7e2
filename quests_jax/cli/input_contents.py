"""What a command is given: structures or environments, and the place of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms

from quests_jax.atoms.writing import add_labels
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.wording import counted
from quests_jax.cli.file_arguments import Input

Place = tuple[str, int]  # file, and number of the structure in it


class Given(NamedTuple):
    """What was read: structures, or environments of a file of descriptors."""

    name: str  # as it was typed
    structures: Sequence[Atoms]  # empty where only descriptors are given
    places: Sequence[Place]  # of each structure
    described: Environments | None = None  # from a file of descriptors

    def some(self, numbers: Sequence[int] | np.ndarray) -> Given:
        """Some of the structures, by ascending numbers."""
        if len(numbers) == len(self.places):
            return self
        return self._replace(
            structures=[self.structures[i] for i in numbers], places=[self.places[i] for i in numbers]
        )


class Data(NamedTuple):
    """Environments, and the structures that they belong to where those are known."""

    name: str  # as it was typed
    structures: Sequence[Atoms]  # empty where only descriptors are given
    places: Sequence[Place]  # of each structure
    envs: Environments
    drawn_from: int | None = None  # structures, of which these were drawn at random

    @property
    def x(self) -> np.ndarray:
        """Descriptors, shape [n, d]."""
        return np.asarray(self.envs.x)

    def about_draw(self) -> list[str]:
        """That these are not all structures, in a sentence."""
        if self.drawn_from is None:
            return []
        drawn = counted(self.envs.n_structures, "structure")
        return [f"All numbers are of {drawn} drawn from {self.drawn_from:,}."]


class Origin(NamedTuple):
    """Where structures come from, in memory or on disk."""

    counts: np.ndarray  # [S] atoms
    place: Callable[[int], Place]
    read: Callable[[np.ndarray], Sequence[Atoms]]  # by number; none if only descriptors are known


def origin_of(given: Given | Data, counts: np.ndarray) -> Origin:
    """The origin of structures in memory."""

    def read(numbers: np.ndarray) -> Sequence[Atoms]:
        return [given.structures[i] for i in numbers] if given.structures else []

    return Origin(counts, given.places.__getitem__, read)


def labeled(given: Data, arrays: dict[str, np.ndarray]) -> Sequence[Atoms]:
    """The structures with these per-atom arrays; none if only descriptors are known."""
    ends = np.cumsum(given.envs.counts)[:-1]
    parts = {name: np.split(values, ends) for name, values in arrays.items()}
    for number, atoms in enumerate(given.structures):
        add_labels(atoms, arrays={name: own[number] for name, own in parts.items()})
    return given.structures


def part_of(file: Input, structures: Sequence[Atoms]) -> Given:
    """The structures of a file that are meant."""
    numbers = range(len(structures))
    if isinstance(file.part, slice):
        numbers = numbers[file.part]
    elif file.part is not None:
        numbers = [number for number in numbers if number in (file.part, file.part + len(structures))]
    if not len(numbers):
        raise InputError(
            f"{file.path}: holds {counted(len(structures), 'structure')} and none of those asked for."
        )
    return Given(file.path, [structures[i] for i in numbers], [(file.path, i) for i in numbers])
