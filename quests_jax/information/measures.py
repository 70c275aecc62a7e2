"""Information measures of environments, each a line or two over the kernel sums; all in nats.

Arrays in, arrays out; descriptors may come from anywhere. Entropy, δH, diversity and efficiency can be
differentiated in every argument; overlaps are counts, whose derivative is 0 wherever it exists.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.array_checks import uncompiled
from quests_jax.base.checks import InputError, check_matrix, check_positive
from quests_jax.base.compiled_programs import jit
from quests_jax.base.environments import Environments, joined, rows_of
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.information.sums.same_element_sums import (
    DEFAULT_BANDWIDTH,
    Rows,
    log_kernel_sum,
    log_sum_of_others,
    self_kernel_sum,
)


@follows_dtype
def entropy(x: Rows, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH) -> jax.Array:
    """Information entropy of a set of environments, [schwalbe-koda:25, (4)].

        H = −(1/n) Σ_i ln[(1/n) Σ_j K(x_i, x_j)],    0 ≤ H ≤ ln n

    0 when all environments are the same, ln n when no two are within reach of the bandwidth.

    Args:
      x: environments, shape [n, d], Å⁻¹.
      bandwidth: h in Å⁻¹, a number or shape [B].

    Returns:
      A number, or shape [B]; in nats.

    Raises:
      InputError: x is empty or not a matrix, or the bandwidth is not positive.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> round(float(qj.entropy(x, bandwidth=0.1)), 4)  # ln 3 − (2/3) ln 2
    0.6365
    """
    return _mean_surprise(self_kernel_sum(x, bandwidth=bandwidth))


@jit
def _mean_surprise(p: jax.Array) -> jax.Array:
    return entropy_from(jnp.asarray(p.shape[-1], p.dtype), jnp.mean(jnp.log(p), axis=-1))


def entropy_from(n: Any, mean_log: Any) -> Any:
    """H = ln n − ⟨ln p_i⟩ of n environments with the sums p_i = Σ_j K(x_i, x_j); in nats.

    The one place where an entropy is formed. Arrays of JAX give one of JAX, all others one of NumPy.

    >>> float(entropy_from(4, 0.0)) == float(np.log(4))  # no environment is like another
    True
    """
    log = jnp.log if isinstance(mean_log, jax.Array) else np.log
    return log(n) - mean_log


@follows_dtype
def delta_entropy(y: Rows, x: Rows, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH) -> jax.Array:
    """Delta entropy of each environment of y against the reference x, [schwalbe-koda:25, (5)].

        δH(y|x) = −ln Σ_j K(y, x_j)

    Above 0 the environment is novel at this bandwidth, at or below 0 it is covered. Finite for any
    finite input. The paper calls it differential entropy; it is not Shannon's.

    Args:
      y: queries, shape [m, d], Å⁻¹.
      x: reference, shape [n, d], Å⁻¹.
      bandwidth: h in Å⁻¹, a number or shape [B].

    Returns:
      Shape [m] or [H, m], in nats.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> dH = qj.delta_entropy(np.array([[0.0], [0.3]]), x, bandwidth=0.1)
    >>> [round(float(each), 2) for each in dH]  # covered, and new
    [-0.69, 3.81]
    """
    return uncompiled(operator.neg, log_kernel_sum(y, x, bandwidth=bandwidth))


@follows_dtype
def delta_entropy_of_others(
    x: Rows,
    group: ArrayLike,
    *,
    rows: ArrayLike | None = None,
    bandwidth: ArrayLike = DEFAULT_BANDWIDTH,
) -> jax.Array:
    """δH of each environment against those of all other groups: how foreign it is within its own set.

        δH_i = −ln Σ_{j: g_j ≠ g_i} K(x_i, x_j)

    Args:
      x: environments, shape [n, d], Å⁻¹.
      group: number of the group of each, such as its structure, shape [n].
      rows: numbers of the environments that are wanted, shape [m]; all where not given.
      bandwidth: h in Å⁻¹, a number or shape [B].

    Returns:
      Shape [n] or [H, n], with rows [m] or [H, m], in nats; infinite if there is one group only. Not
      differentiable.

    Raises:
      InputError: groups that do not fit x, or are no whole numbers.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> dH = qj.information.delta_entropy_of_others(x, np.array([0, 1, 2]), bandwidth=0.1)
    >>> (dH > 0).tolist()  # the third is like no other
    [False, False, True]
    """
    return uncompiled(operator.neg, log_sum_of_others(x, group, rows=rows, bandwidth=bandwidth))


@follows_dtype
def diversity(x: Rows, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH) -> jax.Array:
    """Logarithm of the effective number of distinct environments, [schwalbe-koda:25, (6)].

        D = ln Σ_i 1 / Σ_j K(x_i, x_j),    0 ≤ D ≤ ln n

    Unlike the entropy it does not fall when copies of common environments are added.

    Args:
      x: environments, shape [n, d], Å⁻¹.
      bandwidth: h in Å⁻¹, a number or shape [B].

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> round(float(np.exp(qj.diversity(x, bandwidth=0.1))), 4)  # distinct environments
    2.0
    """
    return jax.nn.logsumexp(-jnp.log(self_kernel_sum(x, bandwidth=bandwidth)), axis=-1)


@follows_dtype
def overlap(
    y: Rows,
    x: Rows,
    *,
    bandwidth: ArrayLike = DEFAULT_BANDWIDTH,
    tolerance: float | None = None,
) -> jax.Array:
    """Fraction of y that x covers: mean of [δH(y|x) < tolerance], [schwalbe-koda:25, (7)].

    A count: its derivative is 0. Differentiate `delta_entropy`, or the saturated coverage of a cover problem.

    Args:
      y: queries, shape [m, d], Å⁻¹.
      x: reference, shape [n, d], Å⁻¹.
      bandwidth: h in Å⁻¹, a number or shape [B].
      tolerance: nats; 1e-5 where not given (see `overlap_tolerance`).

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> float(qj.overlap(np.array([[0.0], [1.0], [2.0], [3.0]]), x, bandwidth=0.1))  # two of four
    0.5
    """
    dH = delta_entropy(y, x, bandwidth=bandwidth)
    tolerance = overlap_tolerance(dH.dtype) if tolerance is None else tolerance
    return jnp.mean(dH < tolerance, axis=-1, dtype=dH.dtype)


@follows_dtype
def overlap_matrix(
    parts: Sequence[Rows],
    *,
    bandwidth: float = DEFAULT_BANDWIDTH,
    tolerance: float | None = None,
) -> np.ndarray:
    """Overlap of every part of a data set with every other: entry [r, t] is the share of t that r covers.

    The diagonal is 1: δH(x|x) ≤ 0. Not differentiable.

    Args:
      parts: environments of each part, shapes [n_p, d], Å⁻¹.
      bandwidth: h in Å⁻¹.
      tolerance: nats; 1e-5 where not given (see `overlap_tolerance`).

    Returns:
      Shape [P, P].

    Raises:
      InputError: no parts, or what `delta_entropy` raises.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> qj.information.overlap_matrix([x, x[2:]], bandwidth=0.1).round(2).tolist()
    [[1.0, 1.0], [0.33, 1.0]]
    """
    if not len(parts):
        raise InputError("parts: none; give the environments of one part at least.")
    bandwidth = check_positive("bandwidth", bandwidth)
    for number, part in enumerate(parts):
        width = np.shape(rows_of(parts[0]))[-1] if number else None
        check_matrix(f"part {number}", rows_of(part), width)
    shares = np.eye(len(parts))
    for r, x in enumerate(parts):  # the others in one call: a program for each size of x, not of each pair
        others = [t for t in range(len(parts)) if t != r]
        if others:
            dH = np.asarray(delta_entropy(_together([parts[t] for t in others]), x, bandwidth=bandwidth))
            limit = overlap_tolerance(dH.dtype) if tolerance is None else tolerance
            borders = np.cumsum([np.shape(rows_of(parts[t]))[0] for t in others])[:-1]
            shares[r, others] = [np.mean(part < limit) for part in np.split(dH, borders)]
        advance("overlaps", r + 1, len(parts))
    return shares


def _together(parts: Sequence[Rows]) -> Rows:
    sets = [part for part in parts if isinstance(part, Environments)]
    if len(sets) == len(parts):
        return joined(sets)
    return np.concatenate([rows_of(part) for part in parts])


@follows_dtype
def efficiency(x: Rows, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH) -> jax.Array:
    """Share of the largest entropy, 100·H / ln n in percent, [schwalbe-koda:25, (8)]; 100 for n = 1.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> round(float(qj.efficiency(x, bandwidth=0.1)), 1)  # percent of ln 3
    57.9
    """
    H = entropy(x, bandwidth=bandwidth)
    n = jnp.shape(rows_of(x))[0]
    return 100 * H / jnp.log(n).astype(H.dtype) if n > 1 else jnp.full_like(H, 100)
