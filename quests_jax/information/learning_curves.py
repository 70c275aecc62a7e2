"""Estimates from a part of the data: learning curves, their limit, and sampled measures.

Samples are drawn without replacement: a sample as large as the data set is the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy.optimize import curve_fit
from scipy.special import stdtrit

from quests_jax.base.array_checks import check_rows
from quests_jax.base.checks import InputError, check_count
from quests_jax.base.defaults import key_or_default
from quests_jax.base.environments import Environments, rows_of, some_rows
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.wording import counted
from quests_jax.information.measures import entropy_from
from quests_jax.information.sums.kernel_sums import room_for
from quests_jax.information.sums.same_element_sums import DEFAULT_BANDWIDTH, Rows, kernel_sum, self_kernel_sum

CONFIDENCE = 0.95
INFINITE = 1e12  # environments at which the fitted curve counts as converged, as in [schwalbe-koda:25]


class LearningCurve(NamedTuple):
    """Entropy of samples of growing size.

    >>> curve = LearningCurve(np.array([1, 2]), np.array([[0.0, 0.5], [0.0, 0.7]]))
    >>> curve.mean.round(2).tolist()
    [0.0, 0.6]
    """

    sizes: np.ndarray  # [t] int, environments
    entropies: np.ndarray  # [repeats, t], nats

    @property
    def mean(self) -> np.ndarray:
        """Mean entropy at each size, shape [t]."""
        return self.entropies.mean(axis=0)

    @property
    def half_width(self) -> np.ndarray:
        """Half of the 95 % confidence interval of the mean at each size, shape [t]."""
        repeats = len(self.entropies)
        if repeats < 2:
            return np.full(len(self.sizes), np.nan)
        spread = self.entropies.std(axis=0, ddof=1) / np.sqrt(repeats)
        return stdtrit(repeats - 1, 0.5 + CONFIDENCE / 2) * spread


@follows_dtype
def learning_curve(
    x: Rows,
    sizes: Sequence[int],
    *,
    repeats: int = 5,
    bandwidth: float = DEFAULT_BANDWIDTH,
    key: jax.Array | None = None,
) -> LearningCurve:
    """Entropy against the number of environments, for samples without replacement.

    Each repeat shuffles the environments once; its samples are the beginnings of that order.

    Args:
      x: environments, shape [n, d], Å⁻¹.
      sizes: numbers of environments, at most n.
      repeats: number of orders.
      bandwidth: h in Å⁻¹.
      key: random key for the orders; default `jax.random.key(0)`.

    Raises:
      InputError: sizes out of range, or x no matrix.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> curve = qj.information.learning_curve(x, [1, 3], repeats=2, bandwidth=0.1)
    >>> curve.entropies.round(4).tolist()
    [[0.0, 0.6365], [0.0, 0.6365]]
    """
    x, repeats = _rows(x), check_count("repeats", repeats)
    counts = np.asarray(sizes)
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or not counts.size:
        raise InputError(f"sizes: expected some whole numbers, got {sizes}.")
    if counts.min() < 1 or counts.max() > len(x):
        raise InputError(f"sizes must be from 1 to the {counted(len(x), 'environment')}, got {list(sizes)}.")
    keys = jax.random.split(key_or_default(key), repeats)
    found = np.empty((repeats, len(counts)))
    for number, each in enumerate(keys):
        shuffled = np.asarray(jax.random.permutation(each, len(x)))
        for column, count in enumerate(counts):
            with room_for(len(x), len(x)):
                p = np.asarray(self_kernel_sum(some_rows(x, shuffled[:count]), bandwidth=bandwidth))
            found[number, column] = entropy_from(len(p), np.log(p).mean())
            advance("learning curve", number * len(counts) + column + 1, found.size)
    return LearningCurve(counts, found)


def largest_entropy(curve: LearningCurve) -> float:
    """Limit of a learning curve by the fit H(n) = a − b exp(−c ln² n) at n = 1e12, [schwalbe-koda:25, (9)].

    Raises `InputError` if there are fewer than four sizes, or the fit does not converge.

    >>> import numpy as np
    >>> sizes = np.array([10, 100, 1000, 10_000])
    >>> curve = LearningCurve(sizes, 3 - 2 * np.exp(-0.1 * np.log(sizes)[None] ** 2))
    >>> round(largest_entropy(curve), 3)
    3.0
    """
    if len(curve.sizes) < 4:
        raise InputError(f"a fit of three numbers needs four sizes, got {len(curve.sizes)}.")
    z = np.log(curve.sizes) ** 2
    H = curve.mean
    if not np.all(np.isfinite(H)):
        raise InputError(
            f"the entropy of {counted(curve.sizes[~np.isfinite(H)][0], 'environment')} is not finite."
        )
    start = (H.max(), np.ptp(H) + 1e-6, 1 / max(np.median(z), 1e-6))
    model = lambda z, a, b, c: a - b * np.exp(-c * z)  # noqa: E731
    try:
        fitted, _ = curve_fit(model, z, H, p0=start, bounds=(0, np.inf), maxfev=20_000)
    except RuntimeError as reason:
        raise InputError("the learning curve cannot be fitted; give more sizes.") from reason
    return float(model(np.log(INFINITE) ** 2, *fitted))


def information_gap(curve: LearningCurve) -> float:
    """H_max − H(n) in nats: what more environments of the same kind would add, [schwalbe-koda:25, (9)].

    >>> import numpy as np
    >>> sizes = np.array([10, 20, 50, 100])
    >>> curve = LearningCurve(sizes, 3 - 2 * np.exp(-0.1 * np.log(sizes)[None] ** 2))
    >>> round(information_gap(curve), 3)  # 2 exp(−0.1 ln² 100)
    0.24
    """
    return largest_entropy(curve) - float(curve.mean[np.argmax(curve.sizes)])


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
    x, rows = _rows(x), check_count("rows", rows, minimum=2)
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


def _rows(x: Rows) -> Rows:
    held = check_rows("x", rows_of(x), empty=False)
    return x if isinstance(x, Environments) else np.asarray(held)
