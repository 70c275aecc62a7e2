"""Columns of descriptors on one scale, by a rule that is stated: none, std or whiten."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quests_jax.base.checks import InputError, check_matrix

SCALES = ("none", "std", "whiten")
FLAT = 1e-8  # share of the largest standard deviation below which a direction is constant


class Scaling(NamedTuple):
    """A linear map of rows: distances afterwards are of the order of 1, whatever the width."""

    rule: str
    center: np.ndarray  # [d]
    axes: np.ndarray  # [d, e]

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Rows [n, d] to [n, e]."""
        check_matrix("x", x, len(self.center))
        return (x - self.center) @ self.axes


def fit_scaling(x: np.ndarray, rule: str) -> Scaling | None:
    """The map that brings these rows on one scale; None for the rule "none".

        std       x_j → (x_j − mean_j) / (σ_j √e)
        whiten    x → (x − mean) V Λ^(−1/2) / √e,    covariance = V Λ Vᵀ

    with e the number of columns or directions that vary, so that the mean squared distance of two rows is 2.
    Columns or directions that do not vary are left out.

    Args:
      x: rows of the data set that decides, shape [n, d].
      rule: one of `SCALES`.

    Raises:
      InputError: another rule, no matrix, or rows that are all the same.

    >>> rows = np.random.default_rng(0).normal(size=(100, 3)) * [1e-8, 1, 1e8]
    >>> np.var(fit_scaling(rows, "std").apply(rows), axis=0).sum().round(6)
    np.float64(1.0)
    """
    if rule not in SCALES:
        raise InputError(f"scale must be one of {', '.join(SCALES)}, got {rule!r}.")
    if rule == "none":
        return None
    check_matrix("x", x)
    center = x.mean(axis=0)
    spread = x.std(axis=0)
    rounding = 4 * np.finfo(x.dtype).eps * np.abs(x).max(axis=0, initial=0.0)
    varying = np.flatnonzero(spread > rounding)
    if not len(varying):
        raise InputError("all environments are the same, so they have no scale; use scale none.")
    axes = np.zeros((x.shape[1], len(varying)))
    axes[varying, np.arange(len(varying))] = 1 / spread[varying]
    if rule == "whiten":
        _, singular, directions = np.linalg.svd((x - center) @ axes, full_matrices=False)
        deviation = singular / np.sqrt(len(x))
        kept = deviation > FLAT * deviation[0]
        axes = axes @ (directions[kept].T / deviation[kept])
    return Scaling(rule, center, axes / np.sqrt(axes.shape[1]))
