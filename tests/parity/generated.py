"""Structures by formula, the same on every machine: what the numbers in `quests_numbers.json` belong to."""

from __future__ import annotations

import ase
import numpy as np
from ase.build import bulk, molecule

K, CUTOFF, BANDWIDTH = 32, 5.0, 0.015


def displaced(atoms: ase.Atoms, amplitude: float, phase: float) -> ase.Atoms:
    """A copy with every coordinate moved by less than `amplitude`, and by a different length each."""
    atoms = atoms.copy()
    step = np.arange(atoms.positions.size).reshape(atoms.positions.shape)
    atoms.positions += amplitude * np.sin(12.9898 * (step + 1) + 78.233 * phase)
    return atoms


def generated_structures() -> dict[str, ase.Atoms]:
    """Small structures of many kinds, none with equally distant neighbors, all of a kind QUESTS can treat."""
    skewed = ase.Atoms(
        "C4",
        scaled_positions=[[0, 0, 0], [0.3, 0.6, 0.5], [0.7, 0.2, 0.9], [0.4, 0.1, 0.2]],
        cell=[[4.1, 0, 0], [3.3, 4.4, 0], [-2.2, 1.6, 4.3]],
        pbc=True,
    )
    return {
        "cold fcc": displaced(bulk("Cu", cubic=True).repeat(2), 0.03, 0.0),
        "warm fcc": displaced(bulk("Cu", cubic=True).repeat(2), 0.06, 1.0),
        "hot fcc": displaced(bulk("Cu", cubic=True).repeat(2), 0.2, 8.0),
        "bcc": displaced(bulk("Fe", cubic=True).repeat((3, 2, 2)), 0.1, 2.0),
        "diamond": displaced(bulk("Si", cubic=True), 0.15, 3.0),
        "skewed": displaced(skewed, 0.1, 4.0),
        "ethanol": displaced(molecule("CH3CH2OH"), 0.1, 5.0),
        "benzene": displaced(molecule("C6H6"), 0.1, 6.0),
        "dimer": ase.Atoms("N2", [[0, 0, 0], [1.1, 0, 0]]),
        "cluster": displaced(ase.Atoms(bulk("Cu", cubic=True).repeat(2), pbc=False), 0.2, 7.0),
    }
