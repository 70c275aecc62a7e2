"""Learning curves, and their limit.

Samples are drawn without replacement: a sample as large as the data set is the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy.optimize import curve_fit
from scipy.special import stdtrit

from quests_jax.base.checks import InputError, check_count
from quests_jax.base.defaults import key_or_default
from quests_jax.base.environments import some_rows
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.wording import counted
from quests_jax.information.measures import entropy_from
from quests_jax.information.sampled_measures import CONFIDENCE, held_rows
from quests_jax.information.sums.kernel_sums import room_for
from quests_jax.information.sums.same_element_sums import DEFAULT_BANDWIDTH, Rows, self_kernel_sum

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
    x, repeats = held_rows(x), check_count("repeats", repeats)
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
