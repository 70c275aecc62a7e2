"""What a cover of a sample of environments proves for all of them.

From each structure s (or group of structures) with n_s environments, m_s are drawn without replacement; they
are the targets of a cover problem and weigh n_s/m_s each. The choice w that covers most of the whole data
set does not depend on the draw, so with a probability of at least 1 − δ its uncovered share A is not much
below Â, that of targets:

    m KL(Â/b, A/b) ≤ ln(1/δ),     b = (m/n) max_s n_s/m_s,     m = Σ_s m_s

by the bound of Chernoff and Hoeffding, which sampling without replacement from strata only makes tighter
[hoeffding:63, secs. 2 and 6]; or, better for large Â, by the inequality of Serfling [serfling:74]:

    A ≥ Â − ε,     ε² = ½ ln(1/δ) Σ_s (n_s/n)² [1 − (m_s − 1)/n_s] / m_s     over s with m_s < n_s.

 is at least 1 minus any upper bound of what can be covered of the targets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import rel_entr

FAILURE = 1e-6  # δ, the probability that a bound does not hold
BISECTIONS = 60  # halvings of an interval: to rounding


class Targets(NamedTuple):
    """Environments that stand for all."""

    rows: np.ndarray  # [m] int, ascending numbers
    weights: np.ndarray  # [m], how many each stands for; they add up to n
    of_structure: np.ndarray  # [S] int, how many are of each structure


def sample_sizes(counts: np.ndarray, number: int, *, of: int | None = None) -> np.ndarray:
    """How many environments to draw of each structure: in proportion, about `number` of all, one at least.

    `of` is the number of all environments, where `counts` are of a part.
    """
    share = min(1.0, number / max(counts.sum() if of is None else of, 1))
    return np.minimum(np.ceil(counts * share), counts).astype(int)


def draw_targets(counts: np.ndarray, number: int, *, seed: int = 0) -> Targets:
    """Random environments of structures with these many [S], see `sample_sizes`."""
    sizes = sample_sizes(counts, number)
    structure = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((np.random.default_rng(seed).random(len(structure)), structure))
    place = np.arange(len(structure)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.sort(order[place < sizes[structure]])
    return Targets(rows, (counts / np.maximum(sizes, 1))[structure[rows]], sizes)


def bound_of_all(bound: float, counts: np.ndarray, sizes: np.ndarray) -> float:
    """An upper bound of the coverage of all environments from that of targets; fails with `FAILURE` at most.

    Args:
      bound: no choice covers a larger share of the targets, weighted as in `draw_targets`.
      counts: n_s, environments of each structure, shape [S].
      sizes: m_s, targets of each structure, shape [S]; at least 1 where n_s is.
    """
    sampled = sizes < counts
    if not sampled.any():
        return min(1.0, bound)
    missing = max(0.0, 1.0 - bound)
    least = max(_by_chernoff(missing, counts, sizes), missing - _serfling(counts, sizes), 0.0)
    return 1.0 - least


def _serfling(counts: np.ndarray, sizes: np.ndarray) -> float:
    """ε, at δ/2."""
    n, m = counts[sizes < counts], sizes[sizes < counts]
    spread = np.sum(n**2 * (1 - (m - 1) / n) / m) / counts.sum() ** 2
    return float(np.sqrt(0.5 * np.log(2 / FAILURE) * spread))


def _by_chernoff(missing: float, counts: np.ndarray, sizes: np.ndarray) -> float:
    """The smallest A that Â = `missing` does not contradict, at δ/2."""
    m = sizes.sum()
    heaviest = np.max(counts / np.maximum(sizes, 1))
    scale = m / counts.sum() * heaviest
    seen, limit = missing / scale, np.log(2 / FAILURE) / m
    low, high = 0.0, seen
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        contradicted = rel_entr(seen, middle) + rel_entr(1 - seen, 1 - middle) > limit
        low, high = (middle, high) if contradicted else (low, middle)
    return low * scale
