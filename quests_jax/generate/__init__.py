"""New structures by gradient, and delta entropy as a bias for simulations."""

from quests_jax.generate.augmentation import Augmented, Goal, augment
from quests_jax.generate.bias import Known, biased, delta_entropies, known_environments

__all__ = [
    "Augmented",
    "Goal",
    "Known",
    "augment",
    "biased",
    "delta_entropies",
    "known_environments",
]
