"""Compression of a data set on disk: the numbers of `quests_jax.compress` in little memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from quests_jax.base.environments import rows_of
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.plain import plain
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import timed
from quests_jax.base.versions import versions
from quests_jax.cover.bounds.sampling import FAILURE
from quests_jax.cover.selection import Selection
from quests_jax.disk.covers import TARGETS, kept_rows, large_cover
from quests_jax.disk.shards import Shards
from quests_jax.disk.sums import estimate
from quests_jax.information import Rows
from quests_jax.studies.measures import entropy_and_diversity

SAMPLE = 2000  # environments that the entropies of the whole are estimated from


@follows_dtype
def compress_shards(
    shards: Shards,
    *,
    count: int,
    bandwidth: float,
    reference: Rows | None = None,
    targets: int = TARGETS,
    seed: int = 0,
) -> dict[str, Any]:
    """Choose `count` structures by `large_cover`, and measure the choice.

    A reference, environments that are known already, is complemented: what it covers counts as covered.

    Returns:
      The summary of `quests_jax.compress`: coverage, overlap and the largest delta entropy are those of all
      environments, exactly; entropy and diversity of the whole come from a sample, with half of their 95 %
      confidence intervals; the upper bound fails with `bound_failure_probability`.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "selection"):
        asked = {"count": count, "bandwidth": bandwidth, "targets": targets, "seed": seed}
        selection, dH = large_cover(shards, reference=reference, **asked)
    with timed(seconds, "metrics"):
        x = kept_rows(shards, selection.selected)
        entropy, diversity = entropy_and_diversity(x, bandwidth=bandwidth)
        full = estimate(shards, rows=SAMPLE, bandwidth=bandwidth, seed=seed)
    tolerance = overlap_tolerance(dH.dtype)
    summary = {"method": "cover", "bandwidth": bandwidth, "targets": targets, "seed": seed}
    summary |= {name: shards.parameters[name] for name in ("k", "cutoff", "elements", "species")}
    summary |= _counts(shards, selection, reference)
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
        "bound": "sampled" if targets < shards.n_environments else "exact",
        "bound_failure_probability": FAILURE if targets < shards.n_environments else 0.0,
    }
    return plain(summary | {"seconds": seconds, "versions": versions()})


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
