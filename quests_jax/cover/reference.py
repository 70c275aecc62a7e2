"""A reference: environments that are there already, of which a choice is the complement."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.checks import check_finite_rows, check_matrix
from quests_jax.information import kernel_sum


def known_environments(reference: ArrayLike | None, n_features: int) -> np.ndarray:
    """The reference in float64, shape [r, d]; r = 0 where there is none.

    Raises:
      InputError: no matrix of d columns, or a value that is not finite.
    """
    if reference is None:
        return np.zeros((0, n_features))
    known = np.asarray(reference, np.float64)
    check_matrix("reference", known, n_features)
    check_finite_rows("reference", known)
    return known


def reference_mass(targets: np.ndarray, known: np.ndarray, bandwidth: float) -> jax.Array:
    """r_i = Σ_j K(t_i, k_j), shape [n]; 0 without a reference."""
    return kernel_sum(targets, known, bandwidth=bandwidth) if len(known) else jnp.zeros(len(targets))
