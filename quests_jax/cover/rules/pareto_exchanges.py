"""MSC improved: structures are exchanged as long as some measure gains and none falls below that of MSC.

    max_C  Σ_j g_j(C)    subject to    g_j(C) ≥ 0 for every j,  |C| = t,  Σ_{s in C} c_s ≤ B

with g_j(C) the logarithm of the ratio between a measure of C and of the t structures that MSC chooses within
the budget B:

    overlap       share of all environments with δH(x_i | C) ≤ 0
    information   exp H(C)
    diversity     exp D(C)
    worst case    1 / (1 + max_i δH(x_i | C)⁺)
    novelty       1 + Σ_{s in C} ν_s²,      ν_s = max_{i in s} δH(x_i | all other structures)⁺

MSC itself has Σ g = 0, so the answer is never worse in any of the five. The last one stands for outliers: a
structure far from all others often holds the largest forces, which no descriptor knows. The objective is
neither monotone nor submodular; the search is local and exchanges one structure for another.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, apart
from quests_jax.base.numerics import dot, overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.selection_size import Size
from quests_jax.cover.budget import Budget, budget_of_choice, spending_limit
from quests_jax.cover.known_environments import known_environments, reference_mass
from quests_jax.cover.masses.dense_or_sparse import DENSE
from quests_jax.cover.rules.msc import msc
from quests_jax.cover.selection import Selection
from quests_jax.information import DEFAULT_BANDWIDTH, entropy_from
from quests_jax.information.sums.exponents import plain_exponents

WIDTHS = (8, 32)  # candidates of each kind; the wide look comes when the narrow one finds nothing
SMALLEST_GAIN = 1e-3  # an exchange must add this much to Σ g
INDIFFERENCE = 1e-4  # measures that differ by less than this factor are equal
RARITY = 0.75  # weights p^−RARITY of the coverage that proposes candidates
ROWS = 256  # rows whose kernels with all environments are formed at a time


class Landscape(NamedTuple):
    """What the measures are made of."""

    masses: jax.Array  # [S, n], M_si without anything left out: far environments matter here
    reference_mass: jax.Array  # [n]
    structure_id: jax.Array  # [n] int32
    counts: jax.Array  # [S], environments of each structure
    novelty: jax.Array  # [S], ν²


class Exchange(NamedTuple):
    """The best exchange that a look found."""

    value: jax.Array  # [], Σ g afterwards; -inf if none is allowed
    leaves: jax.Array  # [] int32
    enters: jax.Array  # [] int32


@follows_dtype
def pareto_msc(
    envs: Environments,
    *,
    size: float | Size | None = None,
    budget: Budget | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """Choose as MSC does, then exchange structures while all measures stay at least as good.

    Unlike the choices of MSC, those of different sizes are not nested. Takes memory for S·n masses.

    Args:
      envs: environments of S structures, n in all.
      size: fraction of the structures, or a number of structures; or else
      budget: a budget of costs, see `quests_jax.cover.budget`.
      bandwidth: h in Å⁻¹.
      reference: environments that are known already, shape [r, d], Å⁻¹.

    Returns:
      `Selection` with the picks of MSC that stayed, in their order, then those that came. Gains are what an
      exchange added to Σ g, 0 for those that stayed.

    Raises:
      InputError: as `msc`, or more masses than fit into memory.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> len(qj.cover.pareto_msc(envs, size=2, bandwidth=0.1).selected)
    2
    """
    if envs.n_structures * len(np.asarray(envs.x)) > DENSE:
        raise InputError(
            f"{envs.n_structures} structures with {len(np.asarray(envs.x))} environments are too many for "
            f"exchanges (at most {DENSE:,} masses); use msc or cover."
        )
    selection = msc(envs, bandwidth=bandwidth, size=size, budget=budget, reference=reference)
    limit = budget_of_choice(envs.n_structures, size=size, budget=budget)
    limit = limit._replace(limit=jnp.asarray(spending_limit(limit)))
    landscape = _landscape(envs, bandwidth, reference)
    order = list(map(int, selection.selected))
    gains = [0.0] * len(selection.selected)
    chosen = jnp.zeros(envs.n_structures, bool).at[selection.selected].set(True)
    base = _measures(landscape, chosen, _mass(landscape, chosen))
    value = 0.0
    width = 0
    while width < len(WIDTHS):
        best = _best_exchange(landscape, limit, chosen, base, width=min(WIDTHS[width], envs.n_structures))
        if not float(best.value) > value + SMALLEST_GAIN:
            width += 1
            continue
        leaves, enters = int(best.leaves), int(best.enters)
        gains.pop(order.index(leaves))
        order = [s for s in order if s != leaves] + [enters]
        gains.append(float(best.value) - value)
        chosen, value, width = chosen.at[leaves].set(False).at[enters].set(True), float(best.value), 0
        advance("exchanges", len(np.setdiff1d(order, selection.selected)), 0)
    return Selection(np.asarray(order), np.asarray(gains), "pareto")


def _landscape(envs: Environments, bandwidth: float, reference: ArrayLike | Environments | None) -> Landscape:
    x = apart(envs, bandwidth)
    number = np.asarray(envs.structure_id, np.int32)
    scaled = jnp.asarray((x - x.mean(axis=0, keepdims=True)) / bandwidth)
    scaled = jnp.pad(scaled, ((0, -len(x) % ROWS), (0, 0)))
    padded = np.pad(number, (0, -len(x) % ROWS), constant_values=envs.n_structures)
    known = reference_mass(envs.in_float64(), known_environments(reference, envs), bandwidth)
    masses = _all_masses(jnp.asarray(scaled), jnp.asarray(padded), envs.n_structures)[:, : len(x)]
    number = jnp.asarray(number)
    return Landscape(
        masses=masses,
        reference_mass=known,
        structure_id=number,
        counts=jnp.asarray(envs.counts, masses.dtype),
        novelty=_novelty(masses, known, number),
    )


@partial(jax.jit, static_argnames="n_structures")
def _all_masses(x: jax.Array, number: jax.Array, n_structures: int) -> jax.Array:
    """M_si for rows x [n, d] in units of the bandwidth, shape [S, n]; rows of structure S are padding."""

    def add(total, tile):
        rows, structure = tile
        exponent = plain_exponents(rows[None], x[None])[0]
        return total.at[structure].add(jnp.exp(exponent), mode="drop"), None

    tiles = x.reshape(-1, ROWS, x.shape[1]), number.reshape(-1, ROWS)
    return jax.lax.scan(add, jnp.zeros((n_structures, len(x)), x.dtype), tiles)[0]


@jax.jit
def _novelty(masses: jax.Array, reference_mass: jax.Array, number: jax.Array) -> jax.Array:
    """ν_s² of each structure, shape [S]; the sum leaves the own structure out instead of subtracting it."""
    own = number[None] == jnp.arange(len(masses), dtype=number.dtype)[:, None]
    others = reference_mass + jnp.sum(jnp.where(own, 0.0, masses), axis=0)
    alone = jax.ops.segment_max(_delta_entropy(others), number, len(masses), indices_are_sorted=True)
    return jnp.maximum(alone, 0.0) ** 2


def _delta_entropy(mass: jax.Array) -> jax.Array:
    return -jnp.log(jnp.maximum(mass, jnp.finfo(mass.dtype).tiny))


def _mass(landscape: Landscape, chosen: jax.Array) -> jax.Array:
    """Σ_{s in C} M_si, shape [n]."""
    return dot(chosen.astype(landscape.masses.dtype), landscape.masses)


def _measures(landscape: Landscape, chosen: jax.Array, mass: jax.Array) -> jax.Array:
    """Logarithms of the five measures, shape [5]."""
    dH = _delta_entropy(mass + landscape.reference_mass)
    own = chosen[landscape.structure_id]
    among = _delta_entropy(mass)  # entropy and diversity are those of C alone
    n_chosen = jnp.sum(jnp.where(chosen, landscape.counts, 0.0))
    return jnp.stack(
        [
            jnp.log(jnp.mean(dH < overlap_tolerance(dH.dtype), dtype=dH.dtype) + 1.0 / len(dH)),
            entropy_from(n_chosen, -jnp.sum(jnp.where(own, among, 0.0)) / n_chosen),
            jnp.log(jnp.sum(jnp.where(own, 1.0 / mass, 0.0))),
            -jnp.log1p(jnp.maximum(jnp.max(dH), 0.0)),
            jnp.log1p(jnp.sum(jnp.where(chosen, landscape.novelty, 0.0))),
        ]
    )


@partial(jax.jit, static_argnames="width")
def _best_exchange(
    landscape: Landscape, budget: Budget, chosen: jax.Array, base: jax.Array, *, width: int
) -> Exchange:
    """Try each of the candidates that may leave with each of those that may enter."""
    leaving, entering = _candidates(landscape, chosen, width)
    left = budget.limit - jnp.sum(jnp.where(chosen, budget.cost, 0.0))

    def without(leaves):
        rest = chosen.at[leaves].set(False)
        mass = _mass(landscape, rest)  # summed anew: a difference would drown what is far

        def value(enters):
            after = rest.at[enters].set(True)
            g = _measures(landscape, after, mass + landscape.masses[enters]) - base
            allowed = chosen[leaves] & ~chosen[enters] & jnp.all(g >= -INDIFFERENCE)
            allowed &= budget.cost[enters] - budget.cost[leaves] <= left
            return jnp.where(allowed, jnp.sum(g), -jnp.inf)

        return jax.lax.map(value, entering)

    values = jax.lax.map(without, leaving)
    row, column = jnp.unravel_index(jnp.argmax(values), values.shape)
    return Exchange(values[row, column], leaving[row], entering[column])


def _candidates(landscape: Landscape, chosen: jax.Array, width: int) -> tuple[jax.Array, jax.Array]:
    """Those whose loss costs least coverage, and those that add most or are nearest to the worst covered."""
    masses = landscape.masses
    mass = _mass(landscape, chosen) + landscape.reference_mass
    density = landscape.reference_mass + jnp.sum(masses, axis=0)
    u = density**-RARITY
    gain = dot(jnp.minimum(masses, jnp.maximum(1.0 - mass, 0.0)[None]), u)
    loss = dot(jnp.minimum(mass, 1.0)[None] - jnp.minimum(mass[None] - masses, 1.0), u)
    near = masses[:, jnp.argmin(mass)]
    _, leaving = jax.lax.top_k(jnp.where(chosen, -loss, -jnp.inf), width)
    _, adding = jax.lax.top_k(jnp.where(chosen, -jnp.inf, gain), width)
    _, nearest = jax.lax.top_k(jnp.where(chosen, -jnp.inf, near), width)
    return leaving, jnp.concatenate([adding, nearest])
