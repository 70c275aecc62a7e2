"""Environments become numbers: kernel sums, entropy, delta entropy, diversity, overlap."""

from quests_jax.information.bandwidth_rules import (
    cutoff_rule,
    elbow_bandwidth,
    gaussian_rule,
    likelihood_bandwidth,
    novelty_bandwidth,
)
from quests_jax.information.learning_curves import (
    LearningCurve,
    information_gap,
    largest_entropy,
    learning_curve,
)
from quests_jax.information.measures import (
    delta_entropy,
    delta_entropy_of_others,
    diversity,
    efficiency,
    entropy,
    entropy_from,
    overlap,
    overlap_matrix,
)
from quests_jax.information.sampled_measures import (
    Estimate,
    estimated_diversity,
    estimated_entropy,
    sampled_entropy,
)
from quests_jax.information.sums.devices import over_devices
from quests_jax.information.sums.same_element_sums import (
    DEFAULT_BANDWIDTH,
    Rows,
    cross_kernel_sums,
    kernel_product,
    kernel_sum,
    log_kernel_sum,
    log_sum_of_others,
    self_kernel_sum,
    structure_masses,
    tiles_of_masses,
)

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
    "entropy_from",
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
    "tiles_of_masses",
]
