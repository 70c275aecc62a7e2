"""Plant foreign environments in a data set, and see who finds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import gaussian_kde

import quests_jax as qj
from quests_jax.information import delta_entropy_of_others

PLANTED, TOP, SEED = 20, 40, 0
DISPLACEMENTS = (0.6, 0.9, 1.2, 1.5)  # Å, of one atom in each of as many structures: other kinds of planting
DRAWS = 3  # of the planted environments of each kind
MAP_ROWS = 4000  # rows of the density of the map, at most
HELD_OUT = 0.1  # of the structures: they are new beside the planted ones where the others are the reference


def kinds() -> dict[str, float]:
    """Kinds of planted environments, with the displacement in Å; 0 for those of another file."""
    return {"foreign": 0.0} | {f"displaced {distance} Å": distance for distance in DISPLACEMENTS}


def displaced(structures: list, distance: float, rng: np.random.Generator) -> np.ndarray:
    """Environments of moved atoms, one in each of some structures; their neighbors are not planted."""
    moved, rows, atoms_before = [], [], 0
    for s in rng.permutation(len(structures))[:PLANTED]:
        atoms = structures[s].copy()
        i = int(rng.integers(len(atoms)))
        direction = rng.normal(size=3)
        atoms.positions[i] += distance * direction / np.linalg.norm(direction)
        moved.append(atoms)
        rows.append(atoms_before + i)
        atoms_before += len(atoms)
    return qj.get_descriptors(moved)[rows]


def found(envs: qj.Environments, planted: np.ndarray) -> dict[str, Any]:
    """Shares of the planted rows among the TOP most foreign ones, by delta entropy and on the map.

    Planted into the whole set, of which every structure is compared with all others; and into a tenth of
    it, all of which is compared with the other nine.
    """
    x, structure = np.asarray(envs.x), np.asarray(envs.structure_id)
    held_out = np.random.default_rng(SEED).permutation(envs.n_structures)
    test = np.isin(structure, held_out[: max(1, round(HELD_OUT * envs.n_structures))])
    together = np.full(len(planted), envs.n_structures)  # planted rows must not make one another known
    everything, new = np.concatenate([x, planted]), np.concatenate([x[test], planted])
    group = np.concatenate([structure, together])
    scores = {
        "within": {
            "delta_entropy": np.asarray(delta_entropy_of_others(everything, group)),
            "map": _sparsity(everything, everything),
        },
        "reference": {
            "delta_entropy": np.asarray(qj.delta_entropy(new, x[~test])),
            "map": _sparsity(new, x[~test]),
        },
    }
    shares = {
        way: {name: _share(score, len(planted)) for name, score in by.items()} for way, by in scores.items()
    }
    shares["within"]["ranked"], shares["reference"]["ranked"] = len(everything), len(new)
    return shares


def _share(score: np.ndarray, planted: int) -> float:
    """Of the planted rows, which come last."""
    top = np.argsort(-score, kind="stable")[:TOP]
    return float(np.sum(top >= len(score) - planted) / planted)


def _sparsity(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """−ln of the density of x at each row of y, on the map of the first two principal components of x."""
    origin = x.mean(axis=0)
    _, _, axes = np.linalg.svd(x - origin, full_matrices=False)
    kept = np.random.default_rng(SEED).permutation(len(x))[:MAP_ROWS]
    density = gaussian_kde(((x[kept] - origin) @ axes[:2].T).T)
    return -density.logpdf(((y - origin) @ axes[:2].T).T)
