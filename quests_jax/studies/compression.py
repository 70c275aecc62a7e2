"""The main job as one function: structures in, the chosen structures and a summary out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from quests_jax.atoms.describe import environments
from quests_jax.base.checks import check_positive
from quests_jax.base.defaults import DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.environments import Environments, joined
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.plain import plain
from quests_jax.base.progress import advance
from quests_jax.base.sizes import Size, check_size
from quests_jax.base.versions import versions
from quests_jax.cover import Selection, certify, cover_problem
from quests_jax.cover.rules.registry import find_rule
from quests_jax.information import DEFAULT_BANDWIDTH, Rows, delta_entropy, self_kernel_sum


class Compression(NamedTuple):
    """What `compress` returns."""

    selection: Selection
    structures: list[Atoms]  # the chosen ones, in order of choice; empty if environments were given
    summary: dict[str, Any]  # plain numbers, lists and None: ready for JSON


def compress(
    structures: Sequence[Atoms] | Environments,
    *,
    size: float | Size = 0.1,
    method: str = "msc",
    reference: Sequence[Atoms] | Environments | None = None,
    k: int = DEFAULT_K,
    cutoff: float = DEFAULT_CUTOFF,
    bandwidth: float = DEFAULT_BANDWIDTH,
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

    Returns:
      `Compression`. In its summary, overlap is the share of all environments whose delta entropy against
      the chosen structures (and the reference) is below `tolerance`; entropies are in nats.

    Raises:
      InputError: an unknown method, or a size, parameter or structure that `environments` refuses.
    """
    select, bandwidth, seconds = find_rule(method).choose, check_positive("bandwidth", bandwidth), {}
    described = isinstance(structures, Environments)
    count = check_size(size, structures.n_structures if described else len(structures))
    with timed(seconds, "descriptors"):
        envs = _described(structures, k, cutoff)
        known = None if reference is None else _described(reference, k, cutoff)
    with timed(seconds, "selection"):
        selection = select(envs, size=count, bandwidth=bandwidth, reference=known)
    with timed(seconds, "certificate"):
        if selection.upper_bound is None:
            selection = certify(cover_problem(envs, bandwidth=bandwidth, reference=known), selection)
    with timed(seconds, "metrics"):
        kept = _metrics(envs, selection, known, bandwidth)
    made_with = {"k": None, "cutoff": None} if described else {"k": k, "cutoff": cutoff}
    summary = {"method": method, "bandwidth": bandwidth} | made_with | _counts(envs, selection, known) | kept
    summary |= {"seconds": seconds, "versions": versions()}
    chosen = [] if isinstance(structures, Environments) else [structures[i] for i in selection.selected]
    return Compression(selection, chosen, plain(summary))


def entropy_and_diversity(x: Rows, *, bandwidth: float) -> tuple[float, float]:
    """H = ln n + mean δH and D = ln Σ exp δH of x [n, d] in nats, from one kernel sum instead of two."""
    return measures_of(np.asarray(self_kernel_sum(x, bandwidth=bandwidth)))


def measures_of(p: np.ndarray) -> tuple[float, float]:
    """H and D in nats, from the kernel sums p_i = Σ_j K(x_i, x_j), shape [n]."""
    dH = -np.log(p)
    return float(np.log(len(p)) + dH.mean()), float(np.logaddexp.reduce(dH))


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Announce the stage and add the wall time of the block to `seconds[stage]`."""
    advance(stage, 0, 0)  # of unknown length, unless a loop inside knows better
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - start, 3)


def _described(data: Sequence[Atoms] | Environments, k: int, cutoff: float) -> Environments:
    return data if isinstance(data, Environments) else environments(data, k=k, cutoff=cutoff)


def _metrics(
    envs: Environments, selection: Selection, known: Environments | None, bandwidth: float
) -> dict[str, Any]:
    """Entropies of the whole and of the chosen part, and how well the part covers the whole."""
    chosen = envs.take(np.isin(envs.structure_id, selection.selected))
    covering = chosen if known is None else joined([known, chosen])
    dH = np.asarray(delta_entropy(envs, covering, bandwidth=bandwidth))
    tolerance = overlap_tolerance(dH.dtype)
    entropy, diversity = entropy_and_diversity(chosen, bandwidth=bandwidth)
    entropy_full, diversity_full = entropy_and_diversity(envs, bandwidth=bandwidth)
    return {
        "entropy": entropy,
        "diversity": diversity,
        "entropy_full": entropy_full,
        "diversity_full": diversity_full,
        "overlap": (dH < tolerance).mean(),
        "tolerance": tolerance,
        "max_delta_entropy": dH.max(initial=-np.inf, where=np.isfinite(dH)),
        "missing_elements": np.isposinf(dH).sum(),
    }


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
