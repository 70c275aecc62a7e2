"""Compression of a data set on disk: the numbers of `quests_jax.compress` in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quests_jax.base.environments import rows_of
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_numbers import plain
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import timed
from quests_jax.cover.bounds.sampling import FAILURE
from quests_jax.cover.selection import Selection
from quests_jax.disk.covers import TARGETS, large_cover
from quests_jax.disk.shards import Shards
from quests_jax.disk.structures import Structures
from quests_jax.disk.sums import estimate
from quests_jax.disk.tree_selection import tree_choice
from quests_jax.information import Rows
from quests_jax.studies.candidates import are_isolated
from quests_jax.studies.choosing import COVER
from quests_jax.studies.kept_information import entropy_and_diversity

SAMPLE = 2000  # environments that the entropies of the whole are estimated from


@follows_dtype
def compress_shards(
    shards: Shards,
    *,
    count: int,
    bandwidth: float,
    method: str = COVER,
    reference: Rows | None = None,
    targets: int = TARGETS,
    seed: int = 0,
    kept: Sequence[int] = (),
) -> dict[str, Any]:
    """Choose `count` structures by `large_cover`, or another rule by `tree_choice`, and measure the choice.

    A reference, environments that are known already, is complemented: what it covers counts as covered.
    Structures of the numbers `kept` stay besides, first in the list; coverage and its bound are those of the
    other structures.

    Returns:
      The summary of `quests_jax.compress`: coverage, overlap and the largest delta entropy are those of all
      environments, exactly; entropy and diversity of the whole come from a sample, with half of their 95 %
      confidence intervals; the upper bound fails with `bound_failure_probability`.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "selection"):
        asked = {"count": count, "bandwidth": bandwidth, "seed": seed, "reference": reference, "kept": kept}
        if method == COVER:
            selection, dH = large_cover(shards, targets=targets, **asked)
        else:
            selection, dH = tree_choice(shards, method=method, **asked)
        selection = _with_kept(shards, selection, np.asarray(kept, int))
    with timed(seconds, "metrics"):
        x = shards.of(selection.selected)
        entropy, diversity = entropy_and_diversity(x, bandwidth=bandwidth)
        full = estimate(shards, rows=SAMPLE, bandwidth=bandwidth, seed=seed)
    tolerance = overlap_tolerance(dH.dtype)
    sampled = selection.upper_bound is not None and targets < shards.n_environments
    proven = None if selection.upper_bound is None else 0.0
    summary = {"method": method, "bandwidth": bandwidth, "targets": targets, "seed": seed}
    summary |= {name: shards.parameters[name] for name in ("k", "cutoff", "elements", "species")}
    summary |= _counts(shards, selection, reference) | {"kept": np.asarray(kept, int)}
    summary |= {
        "entropy": entropy,
        "diversity": diversity,
        "entropy_full": full[0].value,
        "diversity_full": full[1].value,
        "entropy_full_half_width": full[0].half_width,
        "diversity_full_half_width": full[1].half_width,
        "overlap": (dH < tolerance).mean(),
        "tolerance": tolerance,
        "max_delta_entropy": dH.max(initial=-np.inf, where=np.isfinite(dH)),
        "missing_elements": np.isposinf(dH).sum(),
        "bound": "sampled" if sampled else None if proven is None else "exact",
        "bound_failure_probability": FAILURE if sampled else proven,
    }
    return plain(summary | {"seconds": seconds, "versions": versions()})


def isolated_atoms(structures: Structures) -> np.ndarray:
    """Numbers of the isolated atoms of a data set on disk; none where it holds nothing larger."""
    if not (structures.counts > 1).any():
        return np.zeros(0, int)
    single = np.flatnonzero(structures.counts == 1)
    return single[are_isolated(structures.bare(single))]


def _with_kept(shards: Shards, selection: Selection, kept: np.ndarray) -> Selection:
    """The selection after what stays besides, with the coverage and bound of the other environments."""
    n = shards.n_environments
    staying = int(shards.counts[kept].sum())
    if not staying:
        return selection
    coverage, bound = selection.coverage, selection.upper_bound
    assert coverage is not None
    gains = selection.gains if bound is None else selection.gains * n / (n - staying)
    return selection._replace(
        selected=np.concatenate([kept, selection.selected]),
        gains=np.concatenate([np.zeros(len(kept)), gains]),
        coverage=(coverage * n - staying) / (n - staying),
        upper_bound=None if bound is None else min(1.0, (bound * n - staying) / (n - staying)),
    )


def _counts(shards: Shards, selection: Selection, reference: Rows | None) -> dict[str, Any]:
    return {
        "size": len(selection.selected),
        "selected": selection.selected,
        "gains": selection.gains,
        "n_structures": len(shards.counts),
        "n_environments": shards.n_environments,
        "selected_environments": np.sum(shards.counts[selection.selected]),
        "reference_environments": None if reference is None else np.shape(rows_of(reference))[0],
        "coverage": selection.coverage,
        "upper_bound": selection.upper_bound,
        "certified_ratio": selection.certified_ratio,
    }
