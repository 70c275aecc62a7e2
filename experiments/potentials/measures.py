"""What is measured on a test: errors of energies and forces, in bulk and tail, and what δH knows of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ridge import Targets
from scipy.stats import spearmanr

from quests_jax.information import structure_masses

BULK, TAIL = 0.99, 0.999  # quantiles of |F| below and above which atoms are bulk and tail
FAR = 1e-300  # kernel sum taken for an environment beyond the reach of the kernel


def measure(found: Targets, aim: Targets, atoms: np.ndarray, dH: np.ndarray) -> dict[str, float]:
    """Errors of a test.

    Args:
      found: what the model says.
      aim: what is true.
      atoms: of each structure, shape [S].
      dH: delta entropy of every atom against the structures trained on, shape [n], nats.

    Returns:
      Root mean square and mean absolute errors of energies (meV per atom) and of force components (eV/Å), the
      former of forces also for atoms whose |F| is in the bulk and in the tail (at least one atom);
      `correlation`, Spearman's between dH and |F error|; `covered`, the share of atoms with dH ≤ 0.
    """
    energy = 1e3 * (found.energies - aim.energies) / atoms
    force = found.forces - aim.forces
    norm, error = np.linalg.norm(aim.forces, axis=1), np.linalg.norm(force, axis=1)
    tail = norm >= min(np.quantile(norm, TAIL), norm.max())
    known = np.ptp(dH) > 0 and np.ptp(error) > 0
    return {
        "energy_rmse": _rms(energy),
        "energy_mae": float(abs(energy).mean()),
        "force_rmse": _rms(force),
        "force_mae": float(abs(force).mean()),
        "force_rmse_bulk": _rms(force[norm <= np.quantile(norm, BULK)]),
        "force_rmse_tail": _rms(force[tail]),
        "correlation": float(spearmanr(dH, error).statistic) if known else 0.0,
        "covered": float((dH <= 1e-5).mean()),
    }


def errors(found: Targets, aim: Targets, atoms: np.ndarray) -> dict[str, float]:
    """Root mean square errors of energies (meV per atom) and of forces (eV/Å), all and the largest 1 %."""
    norm = np.linalg.norm(aim.forces, axis=1)
    wrong = found.forces - aim.forces
    return {
        "energy_rmse": _rms(1e3 * (found.energies - aim.energies) / atoms),
        "force_rmse": _rms(wrong),
        "force_rmse_tail": _rms(wrong[norm >= np.quantile(norm, BULK)]),
    }


def masses(y: np.ndarray, x: Sequence[np.ndarray]) -> np.ndarray:
    """What each structure of x brings to the kernel sums of the environments y, shape [S, m]."""
    number = np.repeat(np.arange(len(x)), [len(rows) for rows in x])
    return np.asarray(structure_masses(y, np.concatenate(x), number, len(x)))


def delta_entropy(masses: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """δH of each environment against the structures chosen, shape [m], nats.

    Kernels below 1e-12 may be skipped: what is above 27 nats may come out larger, up to 690.
    """
    return -np.log(np.maximum(masses[chosen].sum(axis=0), FAR))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))
