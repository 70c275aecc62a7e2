"""Whether a data set has seen what there is to see: its learning curve, and the limit of the curve."""

from __future__ import annotations

from typing import NamedTuple

import jax

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.information import DEFAULT_BANDWIDTH, LearningCurve, largest_entropy, learning_curve

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the environments, in the samples


class Saturation(NamedTuple):
    """A learning curve, and what it says of more data of the same kind."""

    curve: LearningCurve
    limit: float | None  # nats, of the fitted curve; None if it cannot be fitted or lies below the curve

    @property
    def gap(self) -> float | None:
        """Entropy that more data would add, in nats; None without a limit."""
        return None if self.limit is None else self.limit - float(self.curve.mean[-1])


@follows_dtype
def saturation(
    envs: Environments, *, repeats: int = 5, bandwidth: float = DEFAULT_BANDWIDTH, seed: int = 0
) -> Saturation:
    """Entropy of growing samples of a data set, and the limit of the curve.

    Args:
      envs: the data set.
      repeats: random orders.
      bandwidth: h in Å⁻¹.
      seed: random seed for the orders.

    >>> import numpy as np
    >>> from quests_jax.base.environments import make_environments
    >>> envs = make_environments(np.zeros((100, 2)), np.arange(100))
    >>> round(float(saturation(envs, repeats=1).curve.mean[-1]), 6)
    0.0
    """
    total = len(envs)
    sizes = sorted({max(1, round(share * total)) for share in SHARES})
    key = jax.random.key(seed)
    curve = learning_curve(envs, sizes, repeats=repeats, bandwidth=bandwidth, key=key)
    try:
        limit = largest_entropy(curve)
    except InputError:
        return Saturation(curve, None)
    return Saturation(curve, limit if limit >= curve.mean[-1] else None)
