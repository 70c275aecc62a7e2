"""The data sets of the study: what is trained on, and what is tested in and out of its distribution."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from features import Features, features

import quests_jax as qj
from quests_jax.datasets import bundled


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Files of one task; names are those of FOLDER/NAME.xyz.gz, and "" the bundled silicon."""

    name: str
    elements: tuple[int, ...]
    cutoff: float  # of the symmetry functions, in Å
    train: str  # several files are joined by "+"
    inside: str | None = None  # the test in distribution; every fifth structure of `train` where None
    outside: tuple[str, ...] = ()  # files out of distribution
    without: tuple[
        str, ...
    ] = ()  # config types that are not trained on, and form the test out of distribution
    most: int = 250  # structures of the training file at most, evenly spaced
    most_tested: int = 80  # structures of each test at most


class Part(NamedTuple):
    """Structures with their symmetry functions and their environments."""

    structures: list[Atoms]
    features: list[Features]  # or none, where nothing is fitted here
    x: list[np.ndarray]  # QUESTS descriptors of each structure, [atoms, d]


class Task(NamedTuple):
    """A data set ready to be learned."""

    data: DataSet
    train: Part
    tests: dict[str, Part]  # "in" and the names of what lies outside


def load(data: DataSet, folder: Path) -> Task:
    """Read, split and describe a data set."""

    def read(name: str, most: int) -> Part:
        return _described(folder, name, data.elements, data.cutoff, most)

    train, tests = split(data, read)
    return Task(data, train, tests)


def split(data: DataSet, read: Callable[[str, int], Part]) -> tuple[Part, dict[str, Part]]:
    """Train and test parts, disjoint; structures that the training set repeats are not tested."""
    whole, tests = read(data.train, data.most), {}
    out = np.isin(_config_types(whole), data.without)
    known, foreign = np.flatnonzero(~out), np.flatnonzero(out)
    if data.inside is None:
        tests["in"], train = take(whole, known[2::5]), take(whole, np.delete(known, np.s_[2::5]))
    else:
        test = read(data.inside, data.most_tested)
        away = np.isin(_config_types(test), data.without)
        tests["in"], train = take(test, np.flatnonzero(~away)), take(whole, known)
    if data.without:
        tests["+".join(data.without)] = take(whole, foreign)
    tests |= {Path(name).name: read(name, data.most_tested) for name in data.outside}
    return train, {name: _new(part, train) for name, part in tests.items()}


def take(part: Part, chosen: Sequence[int] | np.ndarray) -> Part:
    """These structures of a part."""
    return Part(*([column[i] for i in chosen] if column else [] for column in part))


def environments(part: Part) -> qj.Environments:
    """The environments of a part."""
    number = np.repeat(np.arange(len(part.x)), [len(x) for x in part.x])
    return qj.make_environments(np.concatenate(part.x), number, len(part.x))


@lru_cache(maxsize=8)
def _described(folder: Path, name: str, elements: tuple[int, ...], cutoff: float, most: int) -> Part:
    part = read_part(folder, name, most)
    return part._replace(features=features(part.structures, elements, cutoff=cutoff))


def read_part(folder: Path, name: str, most: int) -> Part:
    """At most so many structures of some files, evenly spaced, with their environments and no features."""
    files = [folder / f"{part}.xyz.gz" for part in name.split("+")] if name else [bundled()]
    structures = [atoms for file in files for atoms in qj.read(file)]
    if len(structures) > most:
        structures = [structures[i] for i in np.linspace(0, len(structures) - 1, most).astype(int)]
    envs = qj.environments(structures)
    x = np.split(np.asarray(envs.x), np.cumsum(envs.counts)[:-1])
    return Part(structures, [], x)


def _config_types(part: Part) -> list[str]:
    return [str(atoms.info.get("config_type", "")) for atoms in part.structures]


def _new(part: Part, train: Part) -> Part:
    """The structures that do not occur in the training set."""
    known = {_label(atoms) for atoms in train.structures}
    return take(part, [i for i, atoms in enumerate(part.structures) if _label(atoms) not in known])


def _label(atoms: Atoms) -> tuple[int, float, float]:
    """Size, energy and sum of the norms of forces: equal for structures that are repeats."""
    energy, norms = atoms.get_potential_energy(), np.linalg.norm(atoms.get_forces(), axis=1)
    return len(atoms), round(float(energy), 5), round(float(norms.sum()), 4)
