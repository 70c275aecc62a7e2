"""The paper's rule, MSC: the structure with the most novel environment and the largest entropy comes next.

    S_1     = argmax_S H_S
    S_{t+1} = argmax_S { max_{i in S} δH(x_i | C_t) + H_S }         [schwalbe-koda:25b, (1)]

with H_S the entropy of one structure and δH(x | C) = −ln Σ_{y in C} K(x, y). Novelty only falls as C
grows, so a score computed for an earlier, smaller C is an upper bound of the score now. The search is
therefore lazy: environments with similar bounds are a group, each remembers how much of C it has seen,
and only the groups with the largest bounds are brought up to date. The picks are those of the plain rule.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.checks import check_positive
from quests_jax.base.compiled_programs import jit
from quests_jax.base.environments import Environments
from quests_jax.base.numerics import largest, overlap_tolerance
from quests_jax.base.padding import padded_size
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.selection_size import Size
from quests_jax.base.step_sizes import here
from quests_jax.cover.budget import Budget, budget_of_choice, first_affordable, spending_limit
from quests_jax.cover.known_environments import known_environments
from quests_jax.cover.rules.structure_tiles import TILE, Rows, element_distance, tiles_of, with_more
from quests_jax.cover.selection import Selection
from quests_jax.information import DEFAULT_BANDWIDTH, log_kernel_sum

DEFAULT_SIZE = 0.1
GROUP = 256  # environments that are looked at together
SEGMENT = 64  # picks between two reports of progress, and
LOOKS = 128  # looks, at most: then groups are made anew
TIE = 1e-10  # nats; scores closer than this are equal, whatever the order of their sums


class State(NamedTuple):
    """State of the search. C is stored as rows in order of choice."""

    log_mass: jax.Array  # [g · TILE], ln Σ K(x_i, y) over the rows y of C that row i has seen
    seen: jax.Array  # [g · TILE] int32, how many rows of C that is
    closed: jax.Array  # [S + 1] bool, chosen or too costly
    left: jax.Array  # [], of the budget
    cover: jax.Array  # [n + slack, d], the rows of C
    n_cover: jax.Array  # [] int32
    selected: jax.Array  # [size] int32
    scores: jax.Array  # [size]
    count: jax.Array  # [] int32
    open: jax.Array  # [] bool, whether anything is left to choose
    steps: jax.Array  # [] int32, how often rows of C were shown, one after the other


class Groups(NamedTuple):
    """Which rows are looked at together, and what is known of them."""

    row: jax.Array  # [g, GROUP] int32
    bound: jax.Array  # [g], upper bound of the scores in the group
    seen: jax.Array  # [g] int32, how many rows of C all its rows have seen
    exact: jax.Array  # [g] int32, for how many rows of C the bound is the largest score; -1 for none
    lowest: jax.Array  # [g] int32, lowest structure with that score


@follows_dtype
def msc(
    envs: Environments,
    *,
    bandwidth: float = DEFAULT_BANDWIDTH,
    size: float | Size | None = None,
    budget: Budget | None = None,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """Choose structures by the paper's rule: most novel environment plus entropy of the structure.

    S_{t+1} = argmax_S {max_{i in S} δH(x_i|C_t) + H_S}, and S_1 = argmax_S H_S without a reference. Scores
    stay finite however far apart structures are; ties go to the lowest structure number.

    Args:
      envs: environments of S structures.
      bandwidth: h in Å⁻¹.
      size: fraction of the structures (a tenth where nothing is given), or a number of structures; or else
      budget: a budget of costs, see `quests_jax.cover.budget`.
      reference: environments that are known already, shape [r, d]; C_0 in the rule.

    Returns:
      `Selection` whose gains are the scores in nats. Structures without environments come last, with gain 0.
      Its `saturated` counts the picks up to the last one that adds an uncovered environment. Later picks
      cover nothing more; the rule takes the structures that score highest all the same.

    Raises:
      InputError: a size or budget out of range, a bandwidth that is not positive, or a reference that does
        not fit.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> len(qj.msc(envs, size=2, bandwidth=0.1).selected)
    2
    """
    bandwidth = check_positive("bandwidth", bandwidth)
    known = known_environments(reference, envs)
    size = DEFAULT_SIZE if size is None and budget is None else size
    limit = budget_of_choice(envs.n_structures, size=size, budget=budget)
    selected, scores, novelty = np.zeros(0, int), np.zeros(0), np.zeros(0)
    if len(np.asarray(envs.x)):
        selected, scores, novelty = _search(envs, bandwidth, limit, known)
    without = np.flatnonzero(envs.counts == 0)
    order = first_affordable(np.concatenate([selected, without]), limit)
    novel = np.flatnonzero(novelty > overlap_tolerance(np.dtype(np.float64)))
    adding = int(novel[-1]) + 1 if len(novel) else 0
    return Selection(
        order,
        np.pad(scores, (0, len(order) - len(scores))),
        "msc",
        saturated=adding if adding < len(order) else None,
    )


# --- on the host: shapes, and which rows share a tile ----------------------------------------------------


def _search(
    envs: Environments, bandwidth: float, budget: Budget, known: Environments
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picks among structures with environments, their scores, and the largest δH of each when it was picked.

    That is infinite for a first pick without a reference. Progress is reported between segments.
    """
    rows = tiles_of(envs, bandwidth, budget.cost)
    longest = padded_size(int(envs.counts.max()), smallest=TILE)
    log_mass = np.full(rows.structure.size, -np.inf)
    if len(known):
        own = np.asarray(log_kernel_sum(envs.in_float64(), known, bandwidth=bandwidth))
        foreign = -((element_distance(envs, bandwidth) / bandwidth) ** 2)
        own = np.where(np.isneginf(own), foreign, own)  # of an element that the reference lacks
        log_mass[: len(own)] = own
    most = min(_most_picks(budget), int(np.count_nonzero(envs.counts)))
    log_mass, left = jax.device_put((log_mass, np.float64(spending_limit(budget))))
    state = _initial(rows, log_mass, left, longest=longest, first=not len(known))
    open_ = True
    while open_ and int(state.count) < most:
        groups = _grouped(rows, state)
        stop = min((int(state.count) // SEGMENT + 1) * SEGMENT, most)
        state = _advance(rows, state, groups, cast(jax.Array, np.int32(stop)), longest=longest)
        open_ = bool(state.open)
        advance("selection", int(state.count), most)
    count = int(state.count)
    selected, scores = np.asarray(state.selected, int)[:count], np.asarray(state.scores)[:count]
    novelty = scores - np.asarray(rows.entropy)[selected]
    if not len(known):
        novelty[:1] = np.inf
    return selected, scores, novelty


def _most_picks(budget: Budget) -> int:
    """How many structures the budget pays for if they are the cheapest."""
    return int(np.sum(np.cumsum(np.sort(np.asarray(budget.cost))) <= spending_limit(budget)))


def _grouped(rows: Rows, state: State) -> Groups:
    """Rows that have seen as much of C and have similar bounds together: most never have to be looked at."""
    structure = np.asarray(rows.structure).reshape(-1)
    seen = np.asarray(state.seen)
    entropy = np.where(np.asarray(state.closed), -np.inf, np.asarray(rows.entropy))[structure]
    possible = entropy > -np.inf
    score = np.where(possible, np.where(possible, entropy, 0.0) - np.asarray(state.log_mass), -np.inf)
    row = np.lexsort((-score, seen)).astype(np.int32)
    row = np.pad(row, (0, -len(row) % GROUP), mode="edge").reshape(-1, GROUP)
    bound = np.round(score[row].max(axis=1) / TIE) * TIE
    zero = np.zeros(len(row), np.int32)
    return Groups(*jax.device_put((row, bound, seen[row].min(axis=1), zero - 1, zero)))


# --- on the device: the search ---------------------------------------------------------------------------


@partial(jit, static_argnames=("longest", "first"))
def _initial(rows: Rows, log_mass: jax.Array, left: jax.Array, *, longest: int, first: bool) -> State:
    state = State(
        log_mass=log_mass,
        seen=jnp.zeros(len(log_mass), jnp.int32),
        closed=rows.cost > left,
        left=left,
        cover=jnp.zeros((rows.structure.size + max(longest, here().rows_shown), rows.x.shape[2])),
        n_cover=jnp.int32(0),
        selected=jnp.zeros(len(rows.entropy), jnp.int32),
        scores=jnp.zeros(len(rows.entropy)),
        count=jnp.int32(0),
        open=jnp.bool_(True),
        steps=jnp.int32(0),
    )
    if not first:
        return state
    entropy = jnp.where(state.closed, -jnp.inf, rows.entropy)
    best = jnp.argmax(_rounded(entropy))
    return _pick(rows, state, best, rows.entropy[best], longest, entropy[best] > -jnp.inf)


@partial(jit, static_argnames="longest", donate_argnames="state")
def _advance(rows: Rows, state: State, groups: Groups, stop: jax.Array, *, longest: int) -> State:
    """Pick until `stop` structures are chosen, none is open, or groups should be made anew."""

    def step(carry):
        state, groups, looks = carry
        state, groups = _look(rows, state, groups)
        top = jnp.max(groups.bound)
        tied = groups.bound == top
        best = jnp.min(jnp.where(tied, groups.lowest, len(rows.entropy)))
        row = groups.row[jnp.argmax(tied & (groups.lowest == best))]
        log_mass = jnp.where(rows.structure.reshape(-1)[row] == best, state.log_mass[row], jnp.inf)
        final = jnp.all(~tied | (groups.exact == state.n_cover)) & (top > -jnp.inf)
        state = _pick(rows, state, best, rows.entropy[best] - jnp.min(log_mass), longest, final)
        return state._replace(open=top > -jnp.inf), groups, looks + 1

    def unfinished(carry):
        state, _, looks = carry
        return (state.count < stop) & state.open & (looks < LOOKS)

    return jax.lax.while_loop(unfinished, step, (state, groups, 0))[0]


def _look(rows: Rows, state: State, groups: Groups) -> tuple[State, Groups]:
    """Show the rest of C to the groups with the largest bounds, until they cannot hold the next pick."""
    exact, shown = groups.exact == state.n_cover, here().rows_shown
    known = jnp.max(jnp.where(exact, groups.bound, -jnp.inf))
    group = largest(jnp.where(exact, -jnp.inf, groups.bound), min(here().candidates, len(exact)))
    row = groups.row[group].reshape(-1)
    x, structure, seen = (each[row] for each in (_flat(rows), rows.structure.reshape(-1), state.seen))

    def behind(carry):
        first, log_mass = carry
        return (first < state.n_cover) & (jnp.max(_scores(rows, state.closed, structure, log_mass)) >= known)

    def absorb(carry):
        first, log_mass = carry
        column = (first + jnp.arange(shown, dtype=jnp.int32))[None]
        new = (column >= seen[:, None]) & (column < state.n_cover)
        cover = jax.lax.dynamic_slice_in_dim(state.cover, first, shown)
        return first + shown, with_more(log_mass, x, cover, new)

    begin = jnp.min(groups.seen[group])
    last, log_mass = jax.lax.while_loop(behind, absorb, (begin, state.log_mass[row]))
    end = jnp.maximum(jnp.minimum(last, state.n_cover), groups.seen[group])
    score = _scores(rows, state.closed, structure, log_mass).reshape(len(group), -1)
    bound = jnp.max(score, axis=1)
    lowest = jnp.where(score == bound[:, None], structure.reshape(score.shape), len(rows.entropy)).min(axis=1)
    state = state._replace(
        log_mass=state.log_mass.at[row].set(log_mass),
        seen=state.seen.at[row].set(jnp.maximum(seen, jnp.repeat(end, GROUP))),
        steps=state.steps + jnp.maximum((last - begin) // shown, 1),
    )
    groups = groups._replace(
        bound=groups.bound.at[group].set(bound),
        seen=groups.seen.at[group].set(end),
        exact=groups.exact.at[group].set(end),
        lowest=groups.lowest.at[group].set(lowest.astype(jnp.int32)),
    )
    return state, groups


def _pick(rows: Rows, state: State, best: jax.Array, score: jax.Array, longest: int, now: jax.Array) -> State:
    """Append a structure to C, if `now`.

    Whatever is written behind the last pick is overwritten by the next: without a branch, the large
    arrays of the state stay where they are.
    """
    flat = _flat(rows)
    first = jnp.minimum(rows.start[best], len(flat) - longest)
    left = state.left - jnp.where(now, rows.cost[best], 0.0)
    block = jnp.roll(jax.lax.dynamic_slice_in_dim(flat, first, longest), first - rows.start[best], axis=0)
    return state._replace(
        closed=state.closed.at[best].set(state.closed[best] | now) | (rows.cost > left),
        left=left,
        cover=jax.lax.dynamic_update_slice_in_dim(state.cover, block, state.n_cover, axis=0),
        n_cover=state.n_cover + jnp.where(now, rows.start[best + 1] - rows.start[best], 0),
        selected=state.selected.at[state.count].set(best.astype(jnp.int32)),
        scores=state.scores.at[state.count].set(score),
        count=state.count + jnp.where(now, 1, 0).astype(jnp.int32),
    )


def _flat(rows: Rows) -> jax.Array:
    """All rows in the order of structures, [g · TILE, d]."""
    return rows.x.reshape(-1, rows.x.shape[-1])


def _scores(rows: Rows, closed: jax.Array, structure: jax.Array, log_mass: jax.Array) -> jax.Array:
    """δH + H of each environment, -inf where its structure is closed or it is padding."""
    entropy = rows.entropy[structure]
    open_ = ~closed[structure] & (entropy > -jnp.inf)
    return jnp.where(open_, _rounded(jnp.where(open_, entropy, 0.0) - log_mass), -jnp.inf)


def _rounded(scores: jax.Array) -> jax.Array:
    return jnp.round(scores / TIE) * TIE
