"""The main job as one function: structures in, the chosen structures and a summary out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ase import Atoms

from quests_jax.atoms.describe import environments
from quests_jax.base.checks import InputError, check_positive
from quests_jax.base.defaults import DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.environments import Environments
from quests_jax.base.plain import plain
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.sizes import Size, check_size
from quests_jax.base.versions import versions
from quests_jax.cover import Selection
from quests_jax.cover.posing import Posed, fits, pose
from quests_jax.cover.rules.registry import find_rule
from quests_jax.cover.solvers.relaxed import certify as certified
from quests_jax.information import DEFAULT_BANDWIDTH
from quests_jax.studies.measures import measure

CERTIFICATES = ("quick", "full", "none")
LEAST = 10.0  # seconds that a quick certificate may always take


class Compression(NamedTuple):
    """What `compress` returns."""

    selection: Selection
    structures: list[Atoms]  # the chosen ones, in order of choice; empty if environments were given
    summary: dict[str, Any]  # plain numbers, lists and None: ready for JSON


@follows_dtype
def compress(
    structures: Sequence[Atoms] | Environments,
    *,
    size: float | Size = 0.1,
    method: str = "msc",
    reference: Sequence[Atoms] | Environments | None = None,
    k: int = DEFAULT_K,
    cutoff: float = DEFAULT_CUTOFF,
    bandwidth: float = DEFAULT_BANDWIDTH,
    certify: str = "quick",
    exact: bool = False,
) -> Compression:
    """Choose the structures that keep the most of a data set, and say how much they keep.

    Args:
      structures: the data set, or its environments if they are known already.
      size: a fraction in (0, 1] as a float, or a number of structures as an int.
      method: the name of a rule, see `cover.rules.registry`.
      reference: structures or environments that are there already; the choice complements them.
      k: number of neighbors of the descriptor.
      cutoff: of the descriptor, in Å.
      bandwidth: of the kernel, in Å⁻¹.
      certify: how hard to look for a bound of what any choice of this size could cover: "quick" takes about
        as long as everything before it at most, "full" as long as it needs, "none" leaves it out.
      exact: whether the entropy of a large data set is computed rather than estimated from a sample.

    Returns:
      `Compression`. In its summary, overlap is the share of all environments whose delta entropy against
      the chosen structures (and the reference) is below `tolerance`; entropies are in nats.

    Raises:
      InputError: an unknown method, or a size, parameter or structure that `environments` refuses.
    """
    rule, bandwidth, seconds = find_rule(method), check_positive("bandwidth", bandwidth), {}
    if certify not in CERTIFICATES:
        raise InputError(f"certify must be one of {', '.join(CERTIFICATES)}, got {certify!r}.")
    described = isinstance(structures, Environments)
    count = check_size(size, structures.n_structures if described else len(structures))
    started = time.perf_counter()
    with timed(seconds, "descriptors"):
        envs = _described(structures, k, cutoff)
        known = None if reference is None else _described(reference, k, cutoff)
    options, posed = {"bandwidth": bandwidth, "reference": known}, None
    if rule.poses or fits(envs):
        with timed(seconds, "masses"):
            posed = pose(envs, **options)
    with timed(seconds, "selection"):
        shared = {"posed": posed} if rule.poses else {}
        selection = rule.choose(envs, size=count, **options, **shared)
    with timed(seconds, "metrics"):
        kept = measure(envs, selection.selected, known, bandwidth=bandwidth, posed=posed, exact=exact)
        selection = selection._replace(coverage=kept.pop("coverage"))
    if certify != "none" and selection.upper_bound is None:
        with timed(seconds, "certificate"):
            limit = None if certify == "full" else max(LEAST, time.perf_counter() - started)
            selection, posed = _certified(envs, selection, posed, limit, options)
    made_with = {"k": None, "cutoff": None} if described else {"k": k, "cutoff": cutoff}
    summary = {"method": method, "bandwidth": bandwidth} | made_with | _counts(envs, selection, known) | kept
    summary |= _kind_of_bound(selection, posed) | {"seconds": seconds, "versions": versions()}
    chosen = [] if isinstance(structures, Environments) else [structures[i] for i in selection.selected]
    return Compression(selection, chosen, plain(summary))


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Announce the stage and add the wall time of the block to `seconds[stage]`."""
    advance(stage, 0, 0)  # of unknown length, unless a loop inside knows better
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - start, 3)


def _described(data: Sequence[Atoms] | Environments, k: int, cutoff: float) -> Environments:
    return data if isinstance(data, Environments) else environments(data, k=k, cutoff=cutoff)


def _certified(
    envs: Environments,
    selection: Selection,
    posed: Posed | None,
    limit: float | None,
    options: dict[str, Any],
) -> tuple[Selection, Posed | None]:
    """The selection with a bound; without one where the user does not want to wait for it."""
    try:
        posed = pose(envs, **options) if posed is None else posed
        found = posed.of_all(certified(posed.problem, selection, seconds=limit))
        return found._replace(coverage=selection.coverage), posed
    except KeyboardInterrupt:
        warnings.warn("the certificate was interrupted; this is the choice without it.", stacklevel=2)
        return selection, None


def _kind_of_bound(selection: Selection, posed: Posed | None) -> dict[str, Any]:
    """Whether the upper bound is a proof or holds with a probability."""
    if selection.upper_bound is None or posed is None:
        return {"bound": None, "bound_failure_probability": None}
    kind = "exact" if posed.targets is None else "sampled"
    return {"bound": kind, "bound_failure_probability": posed.failure_probability}


def _counts(envs: Environments, selection: Selection, known: Any) -> dict[str, Any]:
    return {
        "size": len(selection.selected),
        "selected": selection.selected,
        "gains": selection.gains,
        "n_structures": envs.n_structures,
        "n_environments": envs.counts.sum(),
        "selected_environments": envs.counts[selection.selected].sum(),
        "reference_environments": None if known is None else len(known),
        "coverage": selection.coverage,
        "upper_bound": selection.upper_bound,
        "certified_ratio": selection.certified_ratio,
    }
