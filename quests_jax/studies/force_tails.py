"""What a choice of structures does to the tails of forces: quantiles kept, and distances of distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from scipy.spatial.distance import jensenshannon

from quests_jax.atoms.labels import Labels, find_labels
from quests_jax.base.checks import InputError

QUANTILES = (0.5, 0.9, 0.99, 0.999)
BINS = 50


def force_norms(structures: Sequence[Atoms]) -> np.ndarray | None:
    """|F| of every atom in eV/Å, structure after structure; None if a structure has no forces.

    Forces are found under any usual name (see `find_labels`).
    """
    norms = [norm for norm in norms_of(find_labels(structures)) if norm is not None]
    return np.concatenate(norms) if norms and len(norms) == len(structures) else None


def norms_of(labels: Labels) -> list[np.ndarray | None]:
    """|F| of the atoms of each structure in eV/Å, [S] of [A]; None for a structure without forces."""
    return [None if forces is None else np.linalg.norm(forces, axis=1) for forces in labels.forces]


def compare_tails(kept: np.ndarray, everything: np.ndarray) -> dict[str, Any]:
    """How well the values kept stand for all of them.

    Args:
      kept: values of the choice, such as |F|, shape [a].
      everything: values of the whole data set, shape [b].

    Returns:
      `quantiles`: for each quantile of the whole set, the share of the values above it that is kept;
      `largest`: the largest value kept over the largest of all; `wasserstein`:
      ∫|F_kept⁻¹(q) − F_all⁻¹(q)| dq, in units of the values;
      `jensen_shannon`: distance of the two histograms over logarithmic bins, from 0 to 1.

    Raises:
      InputError: a set without values, or values that are negative.
    """
    for name, values in (("kept", kept), ("everything", everything)):
        if not len(values) or not np.all(values >= 0):
            raise InputError(f"{name}: expected values of at least 0, at least one of them.")
    levels = np.quantile(everything, QUANTILES)
    shares = [float((kept > level).sum() / max((everything > level).sum(), 1)) for level in levels]
    grid = (np.arange(2000) + 0.5) / 2000
    distance = np.abs(np.quantile(kept, grid) - np.quantile(everything, grid)).mean()
    edges = tail_bins(np.concatenate([kept, everything]))
    counts = [np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] for values in (kept, everything)]
    return {
        "quantiles": dict(zip(map(str, QUANTILES), shares, strict=True)),
        "largest": float(kept.max() / max(everything.max(), np.finfo(float).tiny)),
        "wasserstein": float(distance),
        "jensen_shannon": float(jensenshannon(*counts, base=2)),
    }


def tail_bins(values: np.ndarray) -> np.ndarray:
    """Edges of logarithmic bins from the 1 % quantile of the positive values to the largest."""
    positive = values[values > 0]
    if not len(positive):
        return np.linspace(0, 1, BINS + 1)
    low = np.quantile(positive, 0.01)
    high = positive.max()
    return np.geomspace(low, high * (1 + 1e-9) if high > low else 2 * low, BINS + 1)
