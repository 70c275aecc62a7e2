"""What a choice may cost: Σ_s c_s w_s ≤ B, in structures, in atoms, or in anything."""

from __future__ import annotations

from typing import NamedTuple

import jax

COST_ROUNDING = 1e-9  # relative excess over a budget that is rounding of a sum of costs


class Budget(NamedTuple):
    """Σ_s cost_s w_s ≤ limit."""

    cost: jax.Array  # [S], positive
    limit: jax.Array  # []
