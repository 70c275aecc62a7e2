"""Environments become numbers: kernel sums, entropy, delta entropy, diversity, overlap."""

from quests_jax.information.entropy import delta_entropy, diversity, efficiency, entropy, overlap
from quests_jax.information.kernels import (
    DEFAULT_BANDWIDTH,
    kernel_product,
    kernel_sum,
    log_kernel_sum,
    self_kernel_sum,
    structure_masses,
)
from quests_jax.information.sharding import over_devices

__all__ = [
    "DEFAULT_BANDWIDTH",
    "delta_entropy",
    "diversity",
    "efficiency",
    "entropy",
    "kernel_product",
    "kernel_sum",
    "log_kernel_sum",
    "over_devices",
    "overlap",
    "self_kernel_sum",
    "structure_masses",
]
