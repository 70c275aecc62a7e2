"""Cover of a data set on disk: candidates from every shard, a choice among them, and a bound over all.

What is to be covered is a sample of targets, at least one from each structure or each few consecutive ones,
weighted so that every structure counts by its number of environments. Four stages:

    masses   of the structures of each shard at the targets;
    choice   among candidates, greedily, and its relaxation, both in one process with the candidates divided
             over all of its devices; candidates are all structures, or what a greedy cover by shards names;
    prices   what every structure would add by the multipliers of the relaxation: an upper bound for any
             choice among *all* structures, and the structures that the candidates lack (next round);
    covered  what the choice covers of every environment, exactly.

Adding structures by price is column generation. The bound is proven for the targets, and for the whole data
set with a probability of 1 − δ (see `cover_targets`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from quests_jax.base.environments import joined
from quests_jax.base.precision import follows_dtype
from quests_jax.cover.bounds.certificate import relax
from quests_jax.cover.bounds.relaxation import best_fill
from quests_jax.cover.bounds.sampling import bound_of_all
from quests_jax.cover.budget import Budget
from quests_jax.cover.group_quotas import make_quota
from quests_jax.cover.masses.dense_or_sparse import DENSE, DROPPED, dense_masses
from quests_jax.cover.masses.sharded import AXIS, DividedMasses, Masses, divided
from quests_jax.cover.masses.sparse import sparse_masses
from quests_jax.cover.problem import CoverProblem, indicator, make_budget, mass
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.disk.cover_targets import Asked, DiskCover, Targets, draw_targets, drawn_targets, pose_on_disk
from quests_jax.disk.shard_greedy import entries_of, greedy_over_shards
from quests_jax.disk.shards import Shards, kept_environments
from quests_jax.disk.working_folder import Stage, digest_of
from quests_jax.information import delta_entropy, structure_masses

TARGETS = 32_768
OVERSAMPLE = 2  # candidates per structure to choose
ROUNDS = 2  # of candidates, choice and prices
STORED = np.float32  # masses on disk: rounding raises the bound by its eps


@follows_dtype
def large_cover(
    shards: Shards, asked: Asked, *, bandwidth: float, targets: int = TARGETS, seed: int = 0
) -> tuple[Selection, np.ndarray]:
    """Choose structures of a data set on disk by greedy cover, with a bound on any choice.

    Args:
      shards: the data set.
      asked: how many structures or which budget, what is known, and quotas.
      bandwidth: h in Å⁻¹.
      targets: about how many environments to look at while choosing.
      seed: random seed for the targets.

    Returns:
      `Selection` with the exact coverage of all environments and an upper bound that holds with a
      probability of at least 1 − FAILURE over the sample of targets; and δH of every environment
      against the choice and the reference, shape [n], in nats.

    >>> from pathlib import Path
    >>> from quests_jax.datasets import bundled
    >>> from quests_jax.disk import Work, describe_files
    >>> from quests_jax.studies.choice_within_limits import Limits
    >>> shards = describe_files(Work(Path("work")), [(bundled(), slice(4))], k=8, cutoff=4.0)
    >>> selection, dH = large_cover(shards, Asked(Limits(2)), bandwidth=0.015)
    >>> len(selection.selected), len(dH) == shards.n_environments
    (2, True)
    """
    task = pose_on_disk(shards, asked, bandwidth=bandwidth, targets=targets, seed=seed)
    wanted = draw_targets(task)
    n_shards = len(shards.runs)
    masses = task.stage("masses")
    masses.complete(n_shards, partial(_masses_of, task))
    dropped = sum(masses.load(shard, "dropped")["dropped"] for shard in range(n_shards))
    bounds, choices = [], []
    for number in range(ROUNDS):
        choice, prices = (task.stage(name, round=number) for name in ("choice", "prices"))
        choice.complete(1, partial(_choose, task, number))
        prices.complete(n_shards, partial(_prices_of, task, number))
        choices.append(choice.load(0))
        bounds.append(_bound(task, wanted, float(np.max(dropped)), number))
    chosen = max(choices, key=lambda choice: choice["gains"].sum())
    dH = covered(task, chosen["selected"])
    coverage = coverage_of(dH)
    bound = max(coverage, min(1.0, *bounds))
    return Selection(chosen["selected"], chosen["gains"], "cover", coverage, bound), dH


def coverage_of(dH: np.ndarray) -> float:
    """Coverage ⟨min(1, p)⟩ of environments by their δH = −ln p, shape [n]."""
    return float(np.minimum(1.0, np.exp(-dH)).mean())


def covered(task: DiskCover, selected: np.ndarray) -> np.ndarray:
    """δH of every environment against the selected structures and the known ones, shape [n], nats."""
    shards = task.shards
    names = digest_of(np.asarray(selected, np.int64))
    stage = task.stage("covered", selected=names)
    chosen = task.stage("chosen", selected=names)
    chosen.keep(joined([task.known, shards.of(selected)]).arrays())
    stage.complete(len(shards.runs), partial(_covered, shards, chosen, task.bandwidth))
    return np.concatenate([stage.load(shard)["delta_entropy"] for shard in range(len(shards.runs))])


def _covered(shards: Shards, chosen: Stage, bandwidth: float, shard: int) -> dict[str, np.ndarray]:
    y = shards.environments(shard)
    x = kept_environments(chosen)
    dH = np.asarray(delta_entropy(y, x, bandwidth=bandwidth)) if len(y) else np.zeros(0)
    return {"delta_entropy": dH}


def _masses_of(task: DiskCover, shard: int) -> dict[str, np.ndarray]:
    """Capped masses of the structures of a shard at the targets, sparse."""
    shards = task.shards
    wanted = drawn_targets(task)
    x = shards.environments(shard)
    number = shards.structure_id(shard)
    brought = structure_masses(wanted.envs, x, number, shards.most, bandwidth=task.bandwidth)
    brought = jnp.minimum(brought, wanted.room[None])  # padded alike, so that shards share their programs
    dense = np.asarray(brought)[: len(shards.runs[shard])]
    kept = dense >= DROPPED / len(shards.counts)
    return {
        "values": dense[kept].astype(STORED),
        "target": np.nonzero(kept)[1].astype(np.int32),
        "lengths": kept.sum(axis=1),
        "dropped": np.where(kept, 0.0, dense).sum(axis=0),
    }


def _choose(task: DiskCover, number: int, _: int) -> dict[str, np.ndarray]:
    """Greedy choice among the candidates of a round, and the multipliers of its relaxation.

    Masses of the candidates are divided over all devices of the process.
    """
    wanted = drawn_targets(task)
    candidates = _candidates(task, number)
    mesh = Mesh(np.asarray(jax.local_devices()), (AXIS,))
    masses = _divided_masses(task, len(wanted.weights), candidates, mesh)
    cost, groups = task.cost, task.groups(candidates)
    problem = _problem(masses, wanted, np.ones(len(candidates)) if cost is None else cost[candidates])
    quota = None if groups is None else make_quota(groups.labels, problem.cost, groups.at_least)
    count, budget = task.limits.count, task.limits.budget
    chosen = greedy_cover(problem, size=count, cost_budget=budget, quota=quota)
    limit = {"size": count} if budget is None else {"cost_budget": budget}
    relaxation = relax(problem, make_budget(problem, **limit))
    reached = np.asarray(mass(problem, indicator(problem, chosen.selected)))
    return {
        "candidates": candidates,
        "selected": candidates[chosen.selected],
        "gains": chosen.gains,
        "left": np.maximum(1.0 - reached, 0.0),
        "multipliers": np.asarray(relaxation.multipliers),
    }


def _candidates(task: DiskCover, number: int) -> np.ndarray:
    """All structures where they are few; else those of a greedy cover by shards, and what adds most to it.

    In later rounds also those of highest price. Gains and prices are by cost where there is a budget. The
    cheapest of every label are among the candidates for the quotas.
    """
    structures, wanted = np.arange(len(task.shards.counts)), drawn_targets(task)
    cost = np.ones(len(structures)) if task.limits.budget is None or task.cost is None else task.cost
    if number:
        known = task.stage("choice", round=number - 1).load(0, "candidates")["candidates"]
        return np.union1d(known, _largest(_price(task, number - 1) / cost, task.expected, task.kept, known))
    most = max(OVERSAMPLE * task.expected, DENSE // len(wanted.weights))  # more for no more memory
    if len(structures) - len(task.kept) <= most:
        return np.setdiff1d(structures, task.kept)
    masses, count = task.stage("masses"), task.limits.count
    found = greedy_over_shards(
        lambda shard: masses.load(shard, "values", "target", "lengths"),
        task.shards.runs,
        wanted.weights,
        wanted.room,
        count=len(structures) if count is None else count,
        budget=np.inf if task.limits.budget is None else task.limits.budget,
        cost=cost,
        closed=np.isin(structures, task.kept),
    )
    others = _largest(found.bound / cost, most - len(found.selected), task.kept, found.selected)
    return np.union1d(np.concatenate([found.selected, others]), _of_every_label(task))


def _largest(values: np.ndarray, count: int, *without: Sequence[int] | np.ndarray) -> np.ndarray:
    """Numbers of the largest values, without some."""
    values = values.copy()
    for numbers in without:
        values[np.asarray(numbers, int)] = -np.inf
    order = np.argsort(-values, kind="stable")[:count]
    return order[np.isfinite(values[order])]


def _of_every_label(task: DiskCover) -> np.ndarray:
    """The cheapest structures of every label, as many as the quotas want."""
    free = np.setdiff1d(np.arange(len(task.shards.counts)), task.kept)
    by_cost = free if task.cost is None else free[np.argsort(task.cost[free], kind="stable")]
    if (groups := task.groups(by_cost)) is None:
        return np.zeros(0, int)
    labels = np.asarray(groups.labels)
    return np.concatenate([by_cost[labels == label][: groups.at_least] for label in np.unique(labels)])


def _price(task: DiskCover, number: int, name: str = "pull") -> np.ndarray:
    """What every structure would add by the multipliers of a round, or to its choice ("gain"), shape [S]."""
    prices = task.stage("prices", round=number)
    return np.concatenate([prices.load(shard, name)[name] for shard in range(len(task.shards.runs))])


def _divided_masses(task: DiskCover, n_targets: int, candidates: np.ndarray, mesh: Mesh) -> DividedMasses:
    """Masses of ascending candidates: sparse where dense would take more than that and than DENSE entries."""
    masses = task.stage("masses")
    shards = range(len(task.shards.runs))
    lengths = np.concatenate([masses.load(shard, "lengths")["lengths"] for shard in shards])
    each = -(-len(candidates) // mesh.size)
    shares = [candidates[first * each : (first + 1) * each] for first in range(mesh.size)]
    most = max(int(lengths[share].sum()) for share in shares)
    sparse = each * n_targets > max(DENSE // mesh.size, 2 * most)
    make = partial(sparse_masses, room=most) if sparse else dense_masses
    parts = []
    for device, share in zip(mesh.devices.flat, shares, strict=True):
        own = np.pad(lengths[share], (0, each - len(share)))
        with jax.default_device(device):
            parts.append(make(*_stored(task, masses, share), own, n_targets))
    return divided(parts, mesh, len(candidates))


def _stored(task: DiskCover, masses: Stage, structures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and targets of the stored masses of ascending structures, read shard by shard."""
    values, target = [np.zeros(0, STORED)], [np.zeros(0, np.int32)]
    for shard, run in enumerate(task.shards.runs):
        own = structures[(structures >= run.start) & (structures < run.stop)] - run.start
        if len(own):
            stored = masses.load(shard, "values", "target", "lengths")
            kept = np.isin(np.repeat(np.arange(len(run)), stored["lengths"]), own)
            values.append(stored["values"][kept])
            target.append(stored["target"][kept])
    return np.concatenate(values), np.concatenate(target)


def _prices_of(task: DiskCover, number: int, shard: int) -> dict[str, np.ndarray]:
    """Σ_i v_i M_si of each structure of a shard, with capped masses, and what it adds to the choice."""
    choice = task.stage("choice", round=number).load(0, "multipliers", "left")
    u = drawn_targets(task).weights
    entries = entries_of(task.stage("masses").load(shard, "values", "target", "lengths"))
    whole, n_structures = np.full(len(u), np.inf), len(task.shards.runs[shard])
    return {
        "pull": entries.gains(whole, u * choice["multipliers"], n_structures),
        "gain": entries.gains(choice["left"], u, n_structures),
    }


def _bound(task: DiskCover, wanted: Targets, dropped: float, number: int) -> float:
    """The smaller of two bounds over all structures, with what dropping and sampling may hide.

    UB(θ) of the relaxation, see `cover.bounds.relaxation`; and what the choice C of a round covers, with the
    most that a choice could add to it [nemhauser:78]: f(T) ≤ f(C) + Σ_{s in T} [f(C + s) − f(C)].
    """
    n, choice = task.shards.n_environments, task.stage("choice", round=number).load(0, "multipliers", "left")
    fixed = float(wanted.weights @ (1 - choice["multipliers"] * wanted.room))
    reached = float(wanted.weights @ (1 - choice["left"]))
    fills = [_fill(task, _price(task, number, name)) for name in ("pull", "gain")]
    hidden = dropped + 2 * float(np.finfo(STORED).eps) * max(fills) / n
    least = min(fixed + fills[0], reached + fills[1]) / n + hidden
    return bound_of_all(least, wanted.counts, wanted.sizes)


def _fill(task: DiskCover, values: np.ndarray) -> float:
    """Largest sum of the values that the limits leave room for."""
    count, limit, cost = task.limits.count, task.limits.budget, task.cost
    if cost is None or limit is None:
        cost = np.ones(len(values))
    budget = Budget(jnp.asarray(cost), jnp.asarray(count if limit is None else limit, float))
    return float(best_fill(jnp.asarray(values), budget))


def _problem(masses: Masses, wanted: Targets, cost: np.ndarray) -> CoverProblem:
    return CoverProblem(
        masses=masses,
        reference_mass=jnp.asarray(1.0 - wanted.room),
        weights=jnp.asarray(wanted.weights),
        cost=jnp.asarray(cost),
        counts=jnp.ones(len(cost), int),
        dropped=jnp.zeros(()),
        bandwidth=jnp.zeros(()),
    )
