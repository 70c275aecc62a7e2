"""Defaults of the whole package, each in one place."""

from __future__ import annotations

import jax

DEFAULT_K = 32  # neighbors per environment, as in QUESTS
DEFAULT_CUTOFF = 5.0  # Å, as in QUESTS
DEFAULT_BANDWIDTH = 0.015  # Å⁻¹, the value of every machine-learning data set in [schwalbe-koda:25]


def key_or_default(key: jax.Array | None) -> jax.Array:
    """The random key that was given, or `jax.random.key(0)`, so that answers repeat."""
    return jax.random.key(0) if key is None else key
