"""Entropy and diversity of a large set from a sample of its rows, with an interval.

Samples are drawn without replacement: a sample as large as the data set is the data set.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from scipy.special import stdtrit

from quests_jax.base.array_checks import check_rows
from quests_jax.base.checks import InputError, check_count
from quests_jax.base.defaults import key_or_default
from quests_jax.base.environments import Environments, rows_of, some_rows
from quests_jax.base.precision import follows_dtype
from quests_jax.information.sums.same_element_sums import DEFAULT_BANDWIDTH, Rows, kernel_sum

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """An estimate from a sample, with its 95 % interval.

    >>> Estimate(0.5, 0.1).value
    0.5
    """

    value: float
    half_width: float  # of its 95 % confidence interval; 0 where nothing was left to chance


@follows_dtype
def sampled_entropy(
    x: Rows, rows: int = 1000, *, bandwidth: float = DEFAULT_BANDWIDTH, key: jax.Array | None = None
) -> Estimate:
    """Entropy of the whole set from the kernel sums of a sample of its rows, see `estimated_entropy`.

    Args:
      x: environments, shape [n, d], Å⁻¹.
      rows: number of rows in the sample, drawn without replacement; n at most.
      bandwidth: h in Å⁻¹.
      key: random key for the sample; default `jax.random.key(0)`.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> round(qj.information.sampled_entropy(x, rows=3, bandwidth=0.1).value, 4)
    0.6365
    """
    x, rows = held_rows(x), check_count("rows", rows, minimum=2)
    key = key_or_default(key)
    sample = np.asarray(jax.random.permutation(key, len(x)))[: min(rows, len(x))]
    return estimated_entropy(
        np.asarray(kernel_sum(some_rows(x, sample), x, bandwidth=bandwidth), float), len(x)
    )


def estimated_entropy(p: np.ndarray, n: int) -> Estimate:
    """H ≈ ln n − mean ln p from the kernel sums p_i = Σ_j K(x_i, x_j) of a sample, shape [r], of n rows.

    Unbiased, at a cost of r·n pairs instead of n²/2; in nats.

    >>> import numpy as np
    >>> round(estimated_entropy(np.array([2.0, 2.0, 1.0]), 3).value, 4)  # from all rows, so exact
    0.6365
    """
    mean, half_width = _mean(-np.log(_positive(p, n)), n)
    return Estimate(float(np.log(n) + mean), half_width)


def estimated_diversity(p: np.ndarray, n: int) -> Estimate:
    """D ≈ ln(n · mean 1/p) from the kernel sums p_i of a sample, shape [r], of n rows; in nats.

    Rare environments dominate 1/p in a redundant data set: then the sample must be large enough to hold a
    good number of them for the interval to be trusted.

    >>> import numpy as np
    >>> round(estimated_diversity(np.array([2.0, 2.0, 1.0]), 3).value, 4)
    0.6931
    """
    mean, half_width = _mean(1 / _positive(p, n), n)
    return Estimate(float(np.log(n * mean)), half_width / mean)


def _positive(p: np.ndarray, n: int) -> np.ndarray:
    """Kernel sums of at least one and at most n rows."""
    p = np.asarray(p, float)
    if p.ndim != 1 or not 0 < len(p) <= n:
        raise InputError(f"p: expected the sums of 1 to {n} rows, got shape {p.shape}.")
    bad = np.flatnonzero(~(np.isfinite(p) & (p > 0)))
    if len(bad):
        raise InputError(f"p: sum {bad[0]} is {p[bad[0]]}; kernel sums are positive and finite.")
    return p


def _mean(values: np.ndarray, n: int) -> tuple[float, float]:
    """Mean of a sample without replacement from n values, and half of its 95 % confidence interval."""
    rows = len(values)
    if rows == 1:
        return float(values[0]), 0.0 if n == 1 else np.inf
    left_out = np.sqrt(max(1 - rows / n, 0.0))  # nothing is unknown once all rows are in the sample
    if not left_out:
        return float(values.mean()), 0.0
    quantile = stdtrit(rows - 1, 0.5 + CONFIDENCE / 2)
    return float(values.mean()), float(quantile * values.std(ddof=1) / np.sqrt(rows) * left_out)


def held_rows(x: Rows) -> Rows:
    """Rows that may be sampled: environments as they are, or an array of at least one row."""
    held = check_rows("x", rows_of(x), empty=False)
    return x if isinstance(x, Environments) else np.asarray(held)
