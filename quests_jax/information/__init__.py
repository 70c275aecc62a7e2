"""Environments become numbers: kernel sums, entropy, delta entropy, diversity, overlap."""

from quests_jax.information.bandwidths import (
    cutoff_rule,
    elbow_bandwidth,
    gaussian_rule,
    likelihood_bandwidth,
    novelty_bandwidth,
)
from quests_jax.information.learning_curves import (
    Estimate,
    LearningCurve,
    estimated_diversity,
    estimated_entropy,
    information_gap,
    largest_entropy,
    learning_curve,
    sampled_entropy,
)
from quests_jax.information.measures import (
    delta_entropy,
    delta_entropy_of_others,
    diversity,
    efficiency,
    entropy,
    overlap,
    overlap_matrix,
)
from quests_jax.information.sums.elements import (
    DEFAULT_BANDWIDTH,
    Rows,
    cross_kernel_sums,
    kernel_product,
    kernel_sum,
    log_kernel_sum,
    log_sum_of_others,
    self_kernel_sum,
    structure_masses,
)
from quests_jax.information.sums.sharding import over_devices

__all__ = [
    "DEFAULT_BANDWIDTH",
    "Estimate",
    "LearningCurve",
    "Rows",
    "cross_kernel_sums",
    "cutoff_rule",
    "delta_entropy",
    "delta_entropy_of_others",
    "diversity",
    "efficiency",
    "elbow_bandwidth",
    "entropy",
    "estimated_diversity",
    "estimated_entropy",
    "gaussian_rule",
    "information_gap",
    "kernel_product",
    "kernel_sum",
    "largest_entropy",
    "learning_curve",
    "likelihood_bandwidth",
    "log_kernel_sum",
    "log_sum_of_others",
    "novelty_bandwidth",
    "over_devices",
    "overlap",
    "overlap_matrix",
    "sampled_entropy",
    "self_kernel_sum",
    "structure_masses",
]
