"""Data sets of several elements, and errors planted in them: two neighbors whose elements are exchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from scipy.special import logsumexp

import quests_jax as qj
from quests_jax.atoms.neighbors import find_pairs
from quests_jax.base.environments import joined, make_environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.information import delta_entropy_of_others

REACH = 4.0  # Å, within which a neighbor of another element is sought
ASKED, BLOCK = 1000, 256  # environments that tell what is usual; rows at a time
TOP = 0.01  # share of all environments that an alarm may name
Describe = Callable[[Sequence[Atoms]], qj.Environments]


class Planted(NamedTuple):
    """Structures with one exchange each."""

    numbers: np.ndarray  # [p] of the structures that were changed
    structures: list[Atoms]  # the changed ones
    atoms: np.ndarray  # [p, 2] in each structure, the two that were exchanged

    def first(self, count: int) -> Planted:
        """The first few of them."""
        return Planted(self.numbers[:count], self.structures[:count], self.atoms[:count])


def sample(files: Sequence[Path], atoms: int, seed: int) -> list[Atoms]:
    """Structures drawn at random from files until they hold so many atoms."""
    everything = [structure for file in files for structure in qj.read(file)]
    order = np.random.default_rng(seed).permutation(len(everything))
    held = np.cumsum([len(everything[i]) for i in order])
    count = max(2, int(np.searchsorted(held, atoms)) + 1)
    return [everything[i] for i in sorted(order[:count])]


def plant(structures: Sequence[Atoms], most: int, seed: int, *, atoms: int | None = None) -> Planted:
    """Exchanges in up to `most` structures that hold two elements, and up to so many `atoms` together."""
    generator = np.random.default_rng(seed)
    numbers, changed, places = [], [], []
    for i in generator.permutation(len(structures)):
        flawed = structures[i].copy()
        pairs = find_pairs([flawed], cutoff=REACH)
        unlike = flawed.numbers[pairs.center] != flawed.numbers[pairs.neighbor]
        center, neighbor = pairs.center[unlike], pairs.neighbor[unlike]
        full = atoms is not None and sum(map(len, changed)) >= atoms
        if len(numbers) == most or full or not len(center):
            continue
        first = generator.choice(np.unique(center))
        distance = np.linalg.norm(pairs.vector[unlike][center == first], axis=1)
        pair = [int(first), int(neighbor[center == first][distance.argmin()])]
        flawed.numbers[pair] = flawed.numbers[pair[::-1]]
        numbers.append(int(i))
        changed.append(flawed)
        places.append(pair)
    return Planted(np.array(numbers, int), changed, np.array(places, int).reshape(-1, 2))


def found(
    envs: qj.Environments, planted: Planted, describe: Describe, h: float, *, together: bool = True
) -> dict[str, float]:
    """Shares of the exchanged atoms that δH names; `envs` is the data set as it was.

    alone          δH against the other structures as they were is above what 99 % of the environments have
    against clean  among the 1 % of largest δH against the data set as it was
    together       among the 1 % of largest δH against the other structures of the set with all errors in it

    Of the last two as many exchanges at once as make up half of that 1 %.
    """
    if not len(planted.numbers):
        return {}
    flawed = describe(planted.structures)
    exchanged = _rows(planted)
    shares = {
        "swaps": len(planted.numbers),
        "swaps_alone": float(_alone(envs, flawed, planted, exchanged, h).mean()),
    }
    few = planted.first(max(1, int(TOP * len(envs) / 4)))  # half of what an alarm may name
    flawed = flawed.take(np.asarray(flawed.structure_id) < len(few.numbers))
    flawed = make_environments(flawed.x, flawed.structure_id, len(few.numbers), flawed.elements)
    shares["swaps_at_once"] = len(few.numbers)
    shares["swaps_against_clean"] = _against_clean(envs, flawed, _rows(few), h)
    if together:  # all pairs of all environments
        shares["swaps_together"] = _together(envs, flawed, few, _rows(few), h)
    return shares


def by_kind(
    envs: qj.Environments, planted: Planted, describe: Describe, kinds: Sequence[str], h: float
) -> dict[str, list[float]]:
    """Number of exchanges and share of the atoms that are found each alone, by kind of structure."""
    flawed = describe(planted.structures)
    named = _alone(envs, flawed, planted, _rows(planted), h).reshape(-1, 2).mean(axis=1)
    of = np.array(kinds)[planted.numbers]
    return {str(kind): [int((of == kind).sum()), float(named[of == kind].mean())] for kind in np.unique(of)}


def _rows(planted: Planted) -> np.ndarray:
    """Numbers of the exchanged atoms among those of the changed structures."""
    starts = np.cumsum([0, *map(len, planted.structures)])[:-1]
    return (starts[:, None] + planted.atoms).reshape(-1)


def _alone(
    envs: qj.Environments, flawed: qj.Environments, planted: Planted, exchanged: np.ndarray, h: float
) -> np.ndarray:
    asked = np.sort(np.random.default_rng(0).permutation(len(envs))[:ASKED])
    own = _novelty(envs.take(asked), np.asarray(envs.structure_id)[asked], envs, h)
    order = np.argsort(exchanged)
    dH = np.empty(len(exchanged))
    dH[order] = _novelty(flawed.take(exchanged[order]), np.repeat(planted.numbers, 2)[order], envs, h)
    return dH > max(np.quantile(own, 1 - TOP), overlap_tolerance(dH.dtype))


def _novelty(y: qj.Environments, left_out: np.ndarray, envs: qj.Environments, h: float) -> np.ndarray:
    """δH of rows y, each against the environments of all structures but one, by plain products."""
    center, number = np.asarray(envs.x).mean(axis=0), np.asarray(envs.structure_id)
    rows, dH = np.asarray(y.x) - center, np.full(len(y), np.inf)
    Z_y, Z = (np.zeros(len(e)) if e.elements is None else np.asarray(e.elements) for e in (y, envs))
    for element in np.unique(Z):
        x, of_x = np.asarray(envs.x)[Z == element] - center, number[Z == element]
        for i in np.array_split(np.flatnonzero(Z_y == element), 1 + (Z_y == element).sum() // BLOCK):
            squared = (rows[i] ** 2).sum(axis=1)[:, None] + (x**2).sum(axis=1)[None] - 2 * rows[i] @ x.T
            exponent = -np.maximum(squared, 0) / (2 * h**2)
            exponent[left_out[i][:, None] == of_x[None]] = -np.inf
            dH[i] = -logsumexp(exponent, axis=1)
    return dH


def _together(
    envs: qj.Environments, flawed: qj.Environments, planted: Planted, exchanged: np.ndarray, h: float
) -> float:
    number = np.asarray(envs.structure_id)
    kept = envs.take(~np.isin(number, planted.numbers))
    group = np.concatenate([kept.structure_id, envs.n_structures + np.asarray(flawed.structure_id)])
    everything = joined([kept, flawed])
    dH = np.asarray(delta_entropy_of_others(everything, group, bandwidth=h))
    return _among_the_first(dH, len(kept) + exchanged, len(dH))


def _against_clean(envs: qj.Environments, flawed: qj.Environments, exchanged: np.ndarray, h: float) -> float:
    dH = _novelty(flawed, np.full(len(flawed), -1), envs, h)
    return _among_the_first(np.where(dH < overlap_tolerance(dH.dtype), -np.inf, dH), exchanged, len(envs))


def _among_the_first(dH: np.ndarray, which: np.ndarray, total: int) -> float:
    """Share of some among the `TOP` of so many in all; equal values that are too many count as not found."""
    most = int(np.ceil(TOP * total))
    threshold = np.partition(dH, -most)[-most] if most < len(dH) else -np.inf
    above = dH >= threshold if (dH >= threshold).sum() <= most else dH > threshold
    return float((above & np.isfinite(dH) | np.isposinf(dH))[which].mean())
