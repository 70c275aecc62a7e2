"""The one result that every rule and every solver returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from quests_jax.base.checks import InputError


class Selection(NamedTuple):
    """Chosen structures in order of choice, and what is known about how good the choice is.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> chosen = qj.greedy_cover(qj.cover_problem(envs, bandwidth=0.1), size=1)
    >>> chosen.selected.tolist(), chosen.coverage, chosen.certified_ratio is None
    ([1], 0.75, True)
    """

    selected: np.ndarray  # [t] int, structure numbers in order of choice; every prefix is an answer too
    gains: np.ndarray  # [t] float, what each choice added by the measure of the method
    method: str
    coverage: float | None = None  # of the problem's objective; None until a problem measures it
    upper_bound: float | None = None  # no choice of the same cost covers more than this
    cost_bound: float | None = None  # no choice that covers as much costs less
    weights: np.ndarray | None = None  # [S] in [0, 1], the relaxed choice that was rounded, if any
    saturated: int | None = None  # picks that add anything, where those that follow are known to add nothing

    @property
    def certified_ratio(self) -> float | None:
        """coverage / upper_bound, a proven lower bound of how close to the optimum the choice is.

        None before a problem has measured both, and for measures below 0, whose ratios say nothing.
        """
        if self.coverage is None or self.upper_bound is None or self.coverage < 0:
            return None
        return min(1.0, self.coverage / self.upper_bound) if self.upper_bound > 0 else 1.0


def check_structures(name: str, structures: Sequence[int] | np.ndarray, n_structures: int) -> np.ndarray:
    """Structure numbers as int, shape [t].

    Raises:
      InputError: no whole numbers, one that does not exist, or one that is named twice.
    """
    numbers = np.asarray(structures).reshape(-1)
    if not len(numbers):
        return np.zeros(0, int)
    if numbers.dtype.kind not in "iu":
        raise InputError(f"{name}: expected whole numbers of structures, got {numbers[0]!r}.")
    wrong = numbers[(numbers < 0) | (numbers >= n_structures)]
    if len(wrong):
        raise InputError(
            f"{name}: structure {wrong[0]} does not exist; numbers go from 0 to {n_structures - 1}."
        )
    if len(np.unique(numbers)) < len(numbers):
        raise InputError(f"{name}: a structure is named twice; name each once.")
    return numbers.astype(int)


def knee(selection: Selection) -> int:
    """Number of picks at which the coverage is furthest above its chord: where more begins to add little.

    For a selection in greedy order of gains, such as `greedy_cover(problem, coverage=1.0)`; at least 1.

    >>> import numpy as np
    >>> knee(Selection(np.arange(4), np.array([0.6, 0.3, 0.05, 0.05]), "cover"))
    2
    """
    covered = np.cumsum(np.concatenate([[0.0], selection.gains]))
    chord = covered[-1] * np.arange(len(covered)) / max(len(covered) - 1, 1)
    return max(1, int(np.argmax(covered - chord)))
