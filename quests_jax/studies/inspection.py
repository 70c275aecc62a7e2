"""The first look at a data set: what it holds, what is wrong with it, and how much of it is redundant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np

from quests_jax.atoms.contacts import closest_contacts
from quests_jax.atoms.labels import Labels
from quests_jax.base.environments import Environments
from quests_jax.information import (
    DEFAULT_BANDWIDTH,
    Estimate,
)
from quests_jax.studies.bandwidths import Fit, bandwidth_fit
from quests_jax.studies.cleaning import Cleaning, find_faults
from quests_jax.studies.kept_information import entropies_from, entropy_and_diversity

EXACT = 20_000  # environments up to which H and D are exact
SAMPLE = 2000  # environments that they are estimated from beyond
REDUNDANT = 0.5  # share of environments like another structure's from which compression pays


class Range(NamedTuple):
    """Smallest, middle and largest of some numbers."""

    smallest: float
    median: float
    largest: float


class Contents(NamedTuple):
    """What a data set of S structures holds."""

    structures: int
    atoms: int
    elements: Counter[str]  # atoms
    formulas: Counter[str]  # structures
    periodicity: Counter[str]  # structures, as TTF
    sizes: Range  # atoms per structure
    volumes: Range | None  # Å³ per atom, of fully periodic structures
    singles: Counter[str]  # structures of one atom, by element
    energy: Range | None  # eV per atom
    force: Range | None  # |F| of atoms, in eV/Å
    closest: tuple[int, float, float] | None  # structure, shortest distance in covalent radii, and in Å


class Redundancy(NamedTuple):
    """How much of a data set is like something else in it, at one bandwidth."""

    entropy: Estimate  # nats
    diversity: Estimate  # nats; its exponential is the number of distinct environments
    max_entropy: float  # ln n
    fit: Fit  # share like another structure's, and whether the bandwidth fits

    @property
    def distinct(self) -> float:
        """Number of environments that are distinct at this bandwidth."""
        return float(np.exp(self.diversity.value))


def contents_of(structures: Sequence[ase.Atoms], labels: Labels, sound: Sequence[int]) -> Contents:
    """Count what a data set holds; `sound` are the structures whose distances can be measured."""
    contacts = closest_contacts([structures[i] for i in sound])
    worst = int(contacts.ratio.argmin()) if len(sound) else -1
    near = worst >= 0 and np.isfinite(contacts.ratio[worst])
    volumes = [abs(atoms.cell.volume) / len(atoms) for atoms in structures if len(atoms) and atoms.pbc.all()]
    energies = [
        energy / len(atoms)
        for atoms, energy in zip(structures, labels.energy, strict=True)
        if energy is not None and len(atoms) > 1
    ]
    norms = [np.linalg.norm(forces, axis=1) for forces in labels.forces if forces is not None]
    return Contents(
        len(structures),
        sum(map(len, structures)),
        sum((Counter(atoms.get_chemical_symbols()) for atoms in structures), Counter()),
        Counter(atoms.get_chemical_formula() for atoms in structures),
        Counter("".join("FT"[int(p)] for p in atoms.pbc) for atoms in structures),
        _range(list(map(len, structures))) or Range(0, 0, 0),
        _range(volumes),
        Counter(str(atoms.symbols) for atoms in structures if len(atoms) == 1),
        _range(energies),
        _range(np.concatenate(norms)) if norms else None,
        (sound[worst], float(contacts.ratio[worst]), float(contacts.distance[worst])) if near else None,
    )


def inspect(
    structures: Sequence[ase.Atoms], *, energy_key: str | None = None, forces_key: str | None = None
) -> tuple[Contents, Cleaning]:
    """What a data set holds, and what is wrong with it (see `find_faults`).

    >>> from ase.build import bulk
    >>> contents, faults = inspect([bulk("Si", cubic=True), bulk("Si"), bulk("Si")])
    >>> contents.formulas, faults.counts()["copy"]
    (Counter({'Si2': 2, 'Si8': 1}), 1)
    """
    faults = find_faults(structures, energy_key=energy_key, forces_key=forces_key)
    unsound = {finding.structure for finding in faults.findings if finding.kind in ("broken", "empty")}
    sound = [number for number in range(len(structures)) if number not in unsound]
    return contents_of(structures, faults.labels, sound), faults


def redundancy(
    envs: Environments, *, bandwidth: float = DEFAULT_BANDWIDTH, exact: int = EXACT, seed: int = 0
) -> Redundancy:
    """Entropy, diversity and likeness of the environments of a data set.

    Beyond `exact` environments, entropy and diversity are estimated from a sample, with 95 % intervals.

    >>> from quests_jax.base.environments import make_environments
    >>> envs = make_environments(np.array([[0.0], [0.0], [9.0]]), np.arange(3))
    >>> round(redundancy(envs, bandwidth=1.0).distinct, 6)
    2.0
    """
    n = len(envs)
    if n <= exact:
        H, D = (Estimate(value, 0.0) for value in entropy_and_diversity(envs, bandwidth=bandwidth))
    else:
        rows = np.sort(np.random.default_rng(seed).permutation(n)[:SAMPLE])
        H, D = entropies_from(envs.take(rows), envs, bandwidth=bandwidth)
    return Redundancy(H, D, float(np.log(n)), bandwidth_fit(envs, bandwidth=bandwidth))


def _range(values: Sequence[float] | np.ndarray) -> Range | None:
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return None
    return Range(float(finite.min()), float(np.median(finite)), float(finite.max()))
