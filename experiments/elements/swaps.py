"""Data sets of several elements, and errors planted in them: two neighbors whose elements are exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

import quests_jax as qj
from quests_jax.atoms.neighbors import find_pairs
from quests_jax.information import delta_entropy_of_others

REACH = 4.0  # Å, within which a neighbor of another element is sought
TOP = 0.01  # share of all environments that an alarm may name


def sample(files: Sequence[Path], atoms: int, seed: int) -> list[Atoms]:
    """Structures drawn at random from files until they hold so many atoms."""
    everything = [structure for file in files for structure in qj.read(file)]
    order = np.random.default_rng(seed).permutation(len(everything))
    held = np.cumsum([len(everything[i]) for i in order])
    count = max(2, int(np.searchsorted(held, atoms)) + 1)
    return [everything[i] for i in sorted(order[:count])]


def plant(structures: Sequence[Atoms], most: int, seed: int) -> tuple[list[Atoms], np.ndarray]:
    """A copy of the data with swaps in up to `most` structures, and the numbers of the two atoms [m, 2]."""
    generator, changed, swapped = np.random.default_rng(seed), list(structures), []
    starts = np.cumsum([0, *map(len, structures)])
    for i in generator.permutation(len(structures)):
        atoms = structures[i].copy()
        pairs = find_pairs([atoms], cutoff=REACH)
        unlike = atoms.numbers[pairs.center] != atoms.numbers[pairs.neighbor]
        center, neighbor = pairs.center[unlike], pairs.neighbor[unlike]
        if len(swapped) == most or not len(center):
            continue
        first = generator.choice(np.unique(center))
        distance = np.linalg.norm(pairs.vector[unlike][center == first], axis=1)
        pair = [int(first), int(neighbor[center == first][distance.argmin()])]
        atoms.numbers[pair] = atoms.numbers[pair[::-1]]
        changed[i] = atoms
        swapped.append(starts[i] + np.array(pair))
    return changed, np.array(swapped).reshape(-1, 2)


def found(envs: qj.Environments, clean: qj.Environments, swapped: np.ndarray, h: float) -> dict[str, float]:
    """Shares of the swapped atoms among the 1 % of largest δH.

    Against the data set as it was, and against the other structures of the flawed data set itself.
    """
    measured = {
        "swaps_against_clean": qj.delta_entropy(envs, clean, bandwidth=h),
        "swaps_against_others": delta_entropy_of_others(envs, envs.structure_id, bandwidth=h),
    }
    return {name: _among_the_first(np.asarray(dH), swapped) for name, dH in measured.items()}


def _among_the_first(dH: np.ndarray, swapped: np.ndarray) -> float:
    """Share of the swapped atoms above the quantile; equal values count as not found."""
    threshold = np.partition(dH, -(most := int(np.ceil(TOP * len(dH)))))[-most]
    above = dH >= threshold if (dH >= threshold).sum() <= most else dH > threshold
    return float(above[swapped].mean())
