"""A reference: environments that are there already, of which a choice is the complement."""

from __future__ import annotations

import jax
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.array_checks import check_rows
from quests_jax.base.environments import Environments, check_alike, rows_of
from quests_jax.information import Rows, kernel_sum


def known_environments(reference: ArrayLike | Environments | None, envs: Environments) -> Environments:
    """The reference of a choice among `envs`, in float64; no environments where there is none.

    Raises:
      InputError: another number of columns, a value that is not finite, or elements told apart in one of the
        two only.
    """
    if reference is None:
        return envs.in_float64().take(slice(0))
    held = reference.x if isinstance(reference, Environments) else reference
    rows = check_rows("reference", held, np.shape(envs.x)[1])
    if not isinstance(reference, Environments):
        reference = Environments(rows, np.zeros(len(rows), np.int32), 1)
    if not len(reference):
        return envs.in_float64().take(slice(0))
    check_alike(reference, envs)
    return reference.in_float64()


def reference_mass(targets: Rows, known: Environments, bandwidth: float) -> jax.Array:
    """r_i = Σ_j K(t_i, k_j), shape [n]; 0 without a reference."""
    if not len(known):
        return jax.device_put(np.zeros(np.shape(rows_of(targets))[0]))
    return kernel_sum(targets, known, bandwidth=bandwidth)
