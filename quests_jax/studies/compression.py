"""The main job as one function: structures in, the chosen structures and a summary out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from jax.typing import ArrayLike

from quests_jax.atoms.describe import environments as describe
from quests_jax.base.checks import InputError
from quests_jax.base.defaults import DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.environments import Environments, of_structures
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import plain
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import timed
from quests_jax.base.selection_size import Size, as_size
from quests_jax.base.wording import counted
from quests_jax.cover import Selection
from quests_jax.cover.bounds.certificate import certify as certified
from quests_jax.cover.posing import FEWER, Posed, fits, pose
from quests_jax.information import DEFAULT_BANDWIDTH
from quests_jax.studies.candidate_pool import Pool
from quests_jax.studies.candidates import Candidates, everything, facts_of, find_candidates, labels_of
from quests_jax.studies.choice_within_limits import COVER, Amount, Groups, choose, poses
from quests_jax.studies.kept_information import counts_of, measure

CERTIFICATES = ("quick", "full", "none")
LEAST = 10.0  # seconds that a quick certificate may always take
FEWEST = 2048  # targets of a quick certificate
SLOWER = 1.0  # masses of a pair of environments, in float32, than its kernel in the measures
DEFAULT_SIZE = 0.1


class Compression(NamedTuple):
    """Result of `compress`.

    >>> from ase.build import bulk
    >>> import quests_jax as qj
    >>> copper = [bulk("Cu", a=a, cubic=True) for a in (3.5, 3.6, 3.7, 3.8)]
    >>> found = qj.compress(copper, size=2, k=8)
    >>> len(found.structures), found.summary["n_structures"]
    (2, 4)
    """

    selection: Selection
    structures: list[Atoms]  # the chosen ones, in order of choice; empty if only environments were given
    summary: dict[str, Any]  # plain numbers, lists and None: ready for JSON


@follows_dtype
def compress(
    structures: Sequence[Atoms] | Environments,
    *,
    environments: Environments | None = None,
    size: float | Size | None = None,
    atoms: float | Size | None = None,
    budget: float | Size | None = None,
    cost: ArrayLike | None = None,
    coverage: float | None = None,
    min_gain: float | None = None,
    method: str | None = None,
    reference: Sequence[Atoms] | Environments | None = None,
    keep: str | Sequence[str] = (),
    drop: str | Sequence[str] = (),
    by: str | Sequence[str] | None = None,
    at_least: int = 1,
    k: int = DEFAULT_K,
    cutoff: float = DEFAULT_CUTOFF,
    elements: str | None = None,
    species: Sequence[str] | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    seed: int = 0,
    certify: str = "quick",
    exact: bool = False,
) -> Compression:
    """Choose the structures that keep the most of a data set, and say how much they keep.

    Isolated atoms among larger structures stay besides what is chosen, unless `drop` names them:
    fits of potentials need their energies.

    Args:
      structures: the data set, or its environments if they are known already.
      environments: the environments of these structures, if they are known already.
      size: a fraction in (0, 1] as a float, or a number of structures as an int; a tenth where there is no
        other limit.
      atoms: fraction or number of the atoms to keep.
      budget: fraction or amount of the total cost to spend.
      cost: cost of each structure, shape [S], positive; 1 where not given.
      coverage: share of the environments in (0, 1] to cover, with as few structures as possible.
      min_gain: coverage that a structure must add to be chosen.
      method: the name of a rule, see `cover.rules.registry`, or stratified; msc where not given, cover with a
        coverage or a least gain.
      reference: structures or environments that are there already; the choice complements them.
      keep: conditions, such as "config_type=surface*"; structures that fulfill one stay in any case, see
        `studies.candidates`.
      drop: conditions; structures that fulfill one, and none of `keep`, are left out of everything.
      by: a name, such as "config_type" or "elements", or a label for each structure; of each label at least
        `at_least` structures are chosen.
      at_least: structures of each label.
      k: number of neighbors of the descriptor.
      cutoff: cutoff radius of the descriptor, in Å.
      elements: how they are told apart: ignore, center or neighbors, see `environments`.
      species: chemical symbols to be told apart by the descriptor.
      bandwidth: width of the kernel, in Å⁻¹.
      seed: random seed, for rules that draw.
      certify: how hard to look for a bound of what any choice of this size could cover: "quick" takes about
        as long as everything before it at most, "full" as long as it needs, "none" leaves it out.
      exact: whether the entropy of a large data set is computed rather than estimated from a sample.

    Returns:
      `Compression`. In its summary, overlap is the share of all environments whose delta entropy against
      the chosen structures (and the reference) is below `tolerance`; entropies are in nats.

    Raises:
      InputError: an unknown method, limits that it cannot keep, a condition that cannot be read, or a
        parameter or structure that `environments` refuses.

    >>> from ase.build import bulk
    >>> copper = [bulk("Cu", a=a, cubic=True) for a in (3.5, 3.6, 3.7, 3.8)]
    >>> compress(copper, size=0.5, k=8).summary["size"]
    2
    """
    seconds: dict[str, float] = {}
    made_with = {"k": k, "cutoff": cutoff, "elements": elements, "species": species}
    known = isinstance(structures, Environments)
    given = [] if isinstance(structures, Environments) else structures
    envs = structures if isinstance(structures, Environments) else environments
    total = envs.n_structures if envs is not None else len(given)
    amount = Amount(_size(size), _size(atoms), _size(budget), cost, coverage, min_gain)
    division = _divided(given, total, keep, drop)
    with timed(seconds, "descriptors"):
        if envs is None:
            pool_envs = describe([given[i] for i in division.remaining], **made_with)
        else:
            pool_envs = of_structures(envs, division.remaining)
        if reference is not None and not isinstance(reference, Environments):
            reference = describe(reference, **made_with)
    pool = Pool(pool_envs, np.searchsorted(division.remaining, division.kept), division.remaining)
    selection, summary = compress_environments(
        pool,
        amount,
        method=method,
        reference=reference,
        groups=_groups(given, by, at_least, division.remaining[pool.open]),
        bandwidth=bandwidth,
        seed=seed,
        certify=certify,
        exact=exact,
    )
    seconds.update(summary["seconds"])
    stated = dict.fromkeys(made_with) if known or environments is not None else made_with
    summary = stated | summary | {"dropped": division.dropped, "seconds": seconds}
    return Compression(
        selection, [given[i] for i in selection.selected] if len(given) else [], plain(summary)
    )


@follows_dtype
def compress_environments(
    pool: Pool,
    amount: Amount,
    *,
    method: str | None = None,
    reference: Environments | None = None,
    groups: Groups | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    seed: int = 0,
    certify: str = "quick",
    exact: bool = False,
) -> tuple[Selection, dict[str, Any]]:
    """`compress` for environments: the selection, in numbers of the whole data set, and the summary."""
    if certify not in CERTIFICATES:
        raise InputError(f"certify must be one of {', '.join(CERTIFICATES)}, got {certify!r}.")
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    if amount.is_open:
        amount = amount._replace(size=as_size(DEFAULT_SIZE))
    method = method or (COVER if amount.by_coverage else "msc")
    data = pool.open_to_choice(amount, reference)
    limits = amount.limits(data)
    posing = partial(pose, data.envs, bandwidth=bandwidth, reference=data.reference, cost=data.cost)
    posed = None
    if poses(method):
        with timed(seconds, "masses"):
            posed = posing()
    with timed(seconds, "selection"):
        selection = choose(
            data, method=method, limits=limits, bandwidth=bandwidth, groups=groups, seed=seed, posed=posed
        )
    if posed is None and fits(data.envs):  # for the measures and the certificate
        with timed(seconds, "masses"):
            posed = posing()
    chosen = np.concatenate([pool.kept, pool.open[selection.selected]]).astype(int)
    with timed(seconds, "metrics"):
        known_masses = None if len(pool.kept) else posed
        kept = measure(pool.envs, chosen, reference, bandwidth=bandwidth, posed=known_masses, exact=exact)
        selection = selection._replace(coverage=pool.coverage_of(data, kept.pop("coverage")))
    if certify != "none" and selection.upper_bound is None:
        with timed(seconds, "certificate"):
            limit = None if certify == "full" else max(LEAST, time.perf_counter() - started)
            if posed is None and limit is not None:
                pairs = len(pool.envs) * max(1, int(pool.envs.counts[chosen].sum()))
                targets = _affordable(limit, seconds["metrics"] / pairs, len(data.envs))
                posing = partial(posing, targets=targets)
            selection, posed = _certified(posing, selection, posed, limit)
    gains = np.concatenate([np.zeros(len(pool.kept)), selection.gains])
    selection = selection._replace(selected=chosen, gains=gains)
    summary = {"method": method, "bandwidth": bandwidth}
    summary |= counts_of(selection, pool.envs.counts, pool.numbers, reference)
    summary |= {"kept": pool.numbers[pool.kept]}
    selection = selection._replace(selected=pool.numbers[chosen])
    summary |= {"saturated": selection.saturated, "limits": limits._asdict(), "seed": seed}
    summary |= kept | _kind_of_bound(selection, posed)
    return selection, summary | {"seconds": seconds, "versions": versions()}


def _size(asked: float | Size | None) -> Size | None:
    return None if asked is None else as_size(asked)


def _divided(
    structures: Sequence[Atoms], total: int, keep: str | Sequence[str], drop: str | Sequence[str]
) -> Candidates:
    keep, drop = ([text] if isinstance(text, str) else text for text in (keep, drop))
    if len(structures):
        if len(structures) != total:
            given = f"environments of {counted(total, 'structure')}"
            raise InputError(f"{given} were given for {counted(len(structures), 'structure')}.")
        return find_candidates(structures, keep=keep, drop=drop)
    if keep or drop:
        raise InputError("keep and drop ask for what only structures know; give them too.")
    return everything(total)


def _groups(
    structures: Sequence[Atoms], by: str | Sequence[str] | None, at_least: int, numbers: np.ndarray
) -> Groups | None:
    """Labels of the structures of these numbers."""
    if by is None:
        return None
    if not isinstance(by, str):
        return Groups([str(by[i]) for i in numbers], at_least)
    if not len(structures):
        raise InputError(f"by: {by} is what only structures know; give them too, or a label for each.")
    return Groups(labels_of(list(map(facts_of, structures)), by, numbers), at_least)


def _certified(
    posing: Callable[[], Posed], selection: Selection, posed: Posed | None, limit: float | None
) -> tuple[Selection, Posed | None]:
    """The selection with a bound; without one where the user does not want to wait for it."""
    try:
        posed = posing() if posed is None else posed
        found = posed.of_all(certified(posed.problem, selection, seconds=limit))
        return found._replace(coverage=selection.coverage), posed
    except KeyboardInterrupt:
        warnings.warn("the certificate was interrupted; this is the choice without it.", stacklevel=2)
        return selection, None


def _affordable(limit: float, seconds: float, n: int) -> int:
    """Targets whose masses take half of the time at most, as a pair takes these seconds."""
    targets = FEWER
    while targets > FEWEST and SLOWER * seconds * n * targets > limit / 2:
        targets //= 2
    return targets


def _kind_of_bound(selection: Selection, posed: Posed | None) -> dict[str, Any]:
    """Whether the upper bound is a proof or holds with a probability."""
    if selection.upper_bound is None or posed is None:
        return {"bound": None, "bound_failure_probability": None}
    kind = "exact" if posed.targets is None else "sampled"
    return {"bound": kind, "bound_failure_probability": posed.failure_probability}
