"""A selection that can be differentiated: weights w at a temperature T > 0, smooth in all data.

    w = argmax_w  Σ_i u_i φ_T(m_i(w)) + (T/B) Σ_s c_s H(w_s)      s.t.  Σ_s c_s w_s = B
    m_i(w) = r_i + Σ_s w_s M_si,      H(w) = −w ln w − (1 − w) ln(1 − w)

with Σ u = 1 and, for the saturated coverage, φ_T(m) = 1 − T ln(1 + exp((1 − m)/T)). As T → 0, φ_T becomes
min(1, m) and the entropy, which keeps every w_s inside (0, 1), loses its say: w becomes an optimum of the
relaxed cover. For T > 0 the maximum is unique and smooth in all data. It is known by η = ln w/(1 − w) and the
multiplier μ of the budget, which solve

    Σ_i M_si u_i φ_T'(m_i) − (T/B) c_s η_s − μ c_s = 0,      Σ_s c_s w_s = B,

so its derivatives of any order follow from these conditions, not from the iterations.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from quests_jax.base.array_checks import check_rows
from quests_jax.base.checks import InputError, check_positive
from quests_jax.base.environments import Environments, rows_of
from quests_jax.base.precision import follows_dtype
from quests_jax.base.selection_size import Size, as_size
from quests_jax.cover.budget import check_cost
from quests_jax.cover.objectives.mass_functions import SATURATED, Measure, check_measure
from quests_jax.cover.problem import check_target_weights
from quests_jax.cover.solvers.soft_conditions import Frame, mass_by_sums, solved
from quests_jax.cover.solvers.soft_newton import Inputs, smoothed
from quests_jax.information import DEFAULT_BANDWIDTH, Rows, kernel_sum


class SoftCover(NamedTuple):
    """Weights of a soft cover, and whether they are the maximum that they stand for."""

    weights: jax.Array  # [S] in (0, 1)
    value: jax.Array  # [], Σ_i u_i φ_T(m_i), without the entropy
    error: jax.Array  # [], how far the next step of the solver would move any weight
    converged: jax.Array  # [] bool, whether that is below the root of the rounding of the dtype


@follows_dtype
def soft_weights(
    envs: Environments,
    *,
    size: float | Size | jax.Array,
    temperature: ArrayLike,
    bandwidth: ArrayLike = DEFAULT_BANDWIDTH,
    weights: ArrayLike | None = None,
    targets: Rows | None = None,
    reference: Rows | None = None,
    cost: ArrayLike | None = None,
    measure: Measure = SATURATED,
) -> jax.Array:
    """`soft_cover(...).weights`: weights w in (0, 1)^S with Σ c w = B, shape [S].

    Raises:
      InputError: as `soft_cover`, or a temperature at which the solver does not converge. Where arguments are
        traced, weights that have not converged are NaN instead; `soft_cover` says so.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> w = qj.cover.soft_weights(envs, size=2, temperature=0.1, bandwidth=0.1)
    >>> round(float(w.sum()), 3)
    2.0
    """
    found = soft_cover(
        envs,
        size=size,
        temperature=temperature,
        bandwidth=bandwidth,
        weights=weights,
        targets=targets,
        reference=reference,
        cost=cost,
        measure=measure,
    )
    if _is_traced(found.converged):
        return jnp.where(found.converged, found.weights, jnp.nan)
    if not bool(found.converged):
        raise InputError(
            f"soft weights at temperature {temperature} have not converged: the next step would move one by "
            f"{float(found.error):.1g}; raise the temperature."
        )
    return found.weights


@follows_dtype
def soft_cover(
    envs: Environments,
    *,
    size: float | Size | jax.Array,
    temperature: ArrayLike,
    bandwidth: ArrayLike = DEFAULT_BANDWIDTH,
    weights: ArrayLike | None = None,
    targets: Rows | None = None,
    reference: Rows | None = None,
    cost: ArrayLike | None = None,
    measure: Measure = SATURATED,
) -> SoftCover:
    """Soft selection weights, differentiable in everything but the structure numbers.

    The equations are those of this module. Derivatives of any order, forward and reverse, in `envs.x`,
    `targets`, `reference`, `bandwidth`, `weights`, `cost`, `size` and `temperature`: one linear system of S
    equations, and kernel sums that stream like all others.

    Args:
      envs: environments of S structures; x may be traced, the structure numbers may not.
      size: number or fraction of structures, B; with costs, of their sum. A traced one is a number.
      temperature: T > 0; 0.1 is soft, 0.01 is close to the relaxed cover.
      bandwidth: h in Å⁻¹.
      weights: u of each target, shape [n]; 1 where not given.
      targets: environments to cover, shape [n, d]; those of the structures where not given.
      reference: environments that are there already, shape [r, d].
      cost: c of each structure, shape [S], positive; 1 where not given.
      measure: φ; its `smooth` is φ_T, or φ itself where it has none.

    Raises:
      InputError: a size out of range or of all structures, a temperature or cost that is not positive,
        weights that are negative or all 0, or targets or a reference that are not finite.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> soft = soft_cover(envs, size=2, temperature=0.1, bandwidth=0.1)
    >>> bool(soft.converged), [round(float(w), 2) for w in soft.weights]
    (True, [0.25, 0.92, 0.83])
    """
    check_measure(measure)
    temperature = temperature if _is_traced(temperature) else check_positive("temperature", temperature)
    x = jnp.asarray(envs.x)
    dtype = jnp.result_type(x.dtype, float)
    costs = np.ones(envs.n_structures) if cost is None else cost
    if not _is_traced(costs):
        costs = check_cost(costs, envs.n_structures)
    wanted = envs if targets is None else _as_environments("targets", targets, envs)
    rows = jnp.asarray(wanted.x)
    u = (
        jnp.ones(len(rows), dtype)
        if weights is None
        else jnp.asarray(check_target_weights(weights, len(rows)), dtype)
    )
    there = jnp.zeros(len(rows), dtype)
    if reference is not None:
        of_target = dataclasses.replace(wanted, x=rows.astype(dtype))
        given = _as_environments("reference", reference, envs)
        given = given if wanted.elements is not None else jnp.asarray(given.x)
        there = kernel_sum(
            of_target if wanted.elements is not None else of_target.x, given, bandwidth=bandwidth
        )
    inputs = Inputs(
        x.astype(dtype),
        rows.astype(dtype),
        jnp.asarray(bandwidth, dtype),
        u / jnp.sum(u),
        there,
        jnp.asarray(costs, dtype),
        jnp.asarray(_limit(size, costs), dtype),
        jnp.asarray(temperature, dtype),
    )
    frame = Frame(envs, None if targets is None else wanted, measure)
    point = solved(inputs, frame)
    w = jax.nn.sigmoid(point.eta)
    value = jnp.sum(inputs.u * smoothed(measure, inputs)(mass_by_sums(inputs, frame, w)))
    converged = point.error < math.sqrt(jnp.finfo(dtype).eps)
    return SoftCover(w.astype(x.dtype), value, jax.lax.stop_gradient(point.error), converged)


# --- arguments -------------------------------------------------------------------------------------------


def _is_traced(value: object) -> bool:
    return isinstance(value, Tracer)


def _as_environments(name: str, rows: Rows, envs: Environments) -> Environments:
    x = check_rows(name, rows_of(rows), np.shape(envs.x)[1])
    return rows if isinstance(rows, Environments) else Environments(x, np.zeros(len(x), np.int32), 1)


def _limit(size: float | Size | jax.Array, cost: ArrayLike) -> ArrayLike:
    """B, below Σ c."""
    if isinstance(size, Tracer) or isinstance(cost, Tracer):
        return size.value if isinstance(size, Size) else size
    costs = np.asarray(cost)
    asked = Size(float(size), is_fraction=False) if isinstance(size, jax.Array) else as_size(size)
    alike = bool(np.all(costs == 1)) and not isinstance(size, jax.Array)
    total = float(costs.sum())
    limit = float(asked.of(len(costs))) if alike else asked.value * (total if asked.is_fraction else 1.0)
    if not 0 < limit < total:
        raise InputError(
            f"size {limit:g} is the whole data set (of {total:g}), which leaves nothing to weigh; lower it."
        )
    return limit
