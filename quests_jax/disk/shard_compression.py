"""Compression of a data set on disk: the numbers of `quests_jax.compress` in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, of_structures
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import plain
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import timed
from quests_jax.base.selection_size import as_size
from quests_jax.cover.bounds.sampling import FAILURE
from quests_jax.cover.prefixes import Prefixes, in_order, prefix_sums, prefixes_from
from quests_jax.cover.selection import Selection
from quests_jax.disk.cover_stages import TARGETS, large_cover
from quests_jax.disk.cover_targets import Asked, DiskCover, pose_on_disk
from quests_jax.disk.shard_comparison import against
from quests_jax.disk.shard_sums import estimate, self_sums
from quests_jax.disk.shards import Shards
from quests_jax.disk.tree_selection import tree_choice
from quests_jax.disk.working_folder import Stage, digest_of
from quests_jax.information import Estimate, Rows, kernel_sum
from quests_jax.studies.candidate_pool import coverage_of_open
from quests_jax.studies.choice_within_limits import COVER, Amount, Data, Groups, Limits
from quests_jax.studies.compression import DEFAULT_SIZE
from quests_jax.studies.kept_information import counts_of, entropy_and_diversity, kept_of, measures_of

SAMPLE = 2000  # environments that the entropies of the whole are estimated from


@follows_dtype
def compress_shards(
    shards: Shards,
    amount: Amount,
    *,
    bandwidth: float,
    method: str = COVER,
    reference: Environments | Rows | None = None,
    groups: Groups | None = None,
    kept: Sequence[int] | np.ndarray = (),
    targets: int = TARGETS,
    seed: int = 0,
    prefixes: bool = False,
    exact: bool = False,
) -> dict[str, Any]:
    """Choose structures by `large_cover`, or another rule by `tree_choice`, and measure the choice.

    Args:
      shards: the data set, S structures.
      amount: how much to choose: structures, atoms or costs.
      bandwidth: h in Å⁻¹.
      method: name of a rule.
      reference: environments that are known already and are complemented: what they cover counts as covered.
      groups: quotas, with a label for each of the S.
      kept: structures that stay besides, first in the list; coverage and its bound are of the others.
      targets: about how many environments a cover looks at.
      seed: random seed.
      prefixes: whether every prefix of the choice is measured too.
      exact: whether entropy and diversity of the whole are computed rather than estimated from a sample.

    Returns:
      The summary of `quests_jax.compress`: coverage, overlap and the largest delta entropy are those of all
      environments, exactly; estimates come with half of their 95 % confidence intervals; the upper bound
      fails with `bound_failure_probability`.

    Raises:
      InputError: limits that only data in memory know (a coverage, a least gain), and as `compress`.

    >>> from pathlib import Path
    >>> from quests_jax.datasets import bundled
    >>> from quests_jax.disk import Work, describe_files
    >>> shards = describe_files(Work(Path("work")), [(bundled(), slice(4))], k=8, cutoff=4.0)
    >>> summary = compress_shards(shards, Amount(size=2), bandwidth=0.015)
    >>> len(summary["selected"]), summary["coverage"] <= summary["upper_bound"] <= 1
    (2, True)
    """
    if amount.by_coverage:
        raise InputError("a coverage or a least gain needs the data in memory; leave out --work.")
    if amount.is_open:
        amount = amount._replace(size=as_size(DEFAULT_SIZE))
    seconds: dict[str, float] = {}
    kept = np.asarray(kept, int)
    limits, cost = _limits(shards, amount, kept)
    asked = Asked(limits, reference, kept.tolist(), cost, groups)
    options = {"bandwidth": bandwidth, "seed": seed}
    with timed(seconds, "selection"):
        if method == COVER:
            selection, dH = large_cover(shards, asked, targets=targets, **options)
        else:
            selection, dH = tree_choice(shards, asked, method=method, **options)
        selection = _with_kept(shards, selection, kept)
    with timed(seconds, "metrics"):
        chosen = entropy_and_diversity(shards.of(selection.selected), bandwidth=bandwidth)
        kept_information = kept_of(chosen, _whole(shards, exact, **options), dH)
        before = None
        if reference is not None:
            dH = against(shards, reference, bandwidth=bandwidth)
            before = (dH < kept_information["tolerance"]).mean()
    numbers = shards.structures.numbers
    sampled = selection.upper_bound is not None and targets < shards.n_environments
    proven = None if selection.upper_bound is None else 0.0
    summary = {"method": method, "bandwidth": bandwidth, "targets": targets, "seed": seed}
    summary |= {name: shards.parameters[name] for name in ("k", "cutoff", "elements", "species")}
    summary |= counts_of(selection, shards.counts, numbers, reference) | {"kept": numbers[kept]}
    summary |= {"limits": limits._asdict(), "overlap_before": before} | kept_information
    summary["bound"] = "sampled" if sampled else None if proven is None else "exact"
    summary["bound_failure_probability"] = FAILURE if sampled else proven
    if prefixes:
        with timed(seconds, "prefixes"):
            asked = asked._replace(kept=())
            summary["prefixes"] = prefixes_of(shards, asked, selection.selected, **options)._asdict()
    return plain(summary | {"seconds": seconds, "versions": versions()})


def _whole(shards: Shards, exact: bool, *, bandwidth: float, seed: int) -> tuple[Estimate, Estimate]:
    """Entropy and diversity of all environments."""
    if not exact:
        return estimate(shards, rows=SAMPLE, bandwidth=bandwidth, seed=seed)
    H, D = measures_of(self_sums(shards, bandwidth=bandwidth))
    return Estimate(H, 0.0), Estimate(D, 0.0)


def _limits(shards: Shards, amount: Amount, kept: np.ndarray) -> tuple[Limits, np.ndarray | None]:
    """Where the choice ends, and what each structure costs; those that stay cost nothing that counts."""
    free = np.setdiff1d(np.arange(len(shards.counts)), kept)
    open_ = of_structures(shards.outline, free)
    own = amount.costs(open_, shards.structures.numbers[free])
    limits = amount.limits(Data(open_, None, own))
    if own is None:
        return limits, None
    cost = np.ones(len(shards.counts))
    cost[free] = own
    return limits, cost


def prefixes_of(
    shards: Shards, asked: Asked, selected: np.ndarray, *, bandwidth: float, seed: int = 0
) -> Prefixes:
    """`cover.prefix_metrics` of a choice from a data set on disk."""
    task = pose_on_disk(shards, asked, bandwidth=bandwidth, seed=seed)
    ascending = np.sort(selected)
    chosen = in_order(shards.structures_of(ascending), np.searchsorted(ascending, selected))
    names = digest_of(np.asarray(selected, np.int64))
    held = task.stage("prefixed", selected=names)
    held.keep(chosen.arrays() | {"number": np.asarray(chosen.structure_id), "selected": np.asarray(selected)})
    stage = task.stage("prefixes", selected=names)
    stage.complete(len(shards.runs), partial(_prefixes, task, held))
    sums = sum(stage.load(shard)["sums"] for shard in range(len(shards.runs)))
    return prefixes_from(np.asarray(sums), shards.n_environments)


def _prefixes(task: DiskCover, held: Stage, shard: int) -> dict[str, np.ndarray]:
    """What a shard adds to the measures of prefixes."""
    arrays, run = held.load(0), task.shards.runs[shard]
    selected, number = arrays["selected"], arrays["number"]
    chosen = Environments(arrays["x"], number, len(selected), arrays.get("elements"))
    envs, known = task.shards.environments(shard), task.known
    if not len(envs):
        return {"sums": np.zeros((5, len(selected)))}
    mass = (
        np.asarray(kernel_sum(envs, known, bandwidth=task.bandwidth)) if len(known) else np.zeros(len(envs))
    )
    place = np.where((selected >= run.start) & (selected < run.stop), selected - run.start, -1)
    return {"sums": prefix_sums(envs, place, chosen, mass, bandwidth=task.bandwidth)}


def _with_kept(shards: Shards, selection: Selection, kept: np.ndarray) -> Selection:
    """The selection after what stays besides, with the coverage and bound of the other environments."""
    n, staying = shards.n_environments, int(shards.counts[kept].sum())
    if not staying:
        return selection
    coverage, bound = selection.coverage, selection.upper_bound
    assert coverage is not None
    gains = selection.gains if bound is None else selection.gains * n / (n - staying)
    return selection._replace(
        selected=np.concatenate([kept, selection.selected]),
        gains=np.concatenate([np.zeros(len(kept)), gains]),
        coverage=coverage_of_open(coverage, n, staying),
        upper_bound=None if bound is None else min(1.0, coverage_of_open(bound, n, staying)),
    )
