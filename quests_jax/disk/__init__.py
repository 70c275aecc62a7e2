"""Data sets past memory and past one machine: streamed from disk, resumable, divided among workers."""

from quests_jax.disk.cover_stages import large_cover
from quests_jax.disk.cover_targets import Asked
from quests_jax.disk.shard_comparison import (
    compare_shards,
    follow_shards,
    outliers_of_shards,
    overlaps_of_shards,
)
from quests_jax.disk.shard_compression import compress_shards
from quests_jax.disk.shard_sums import estimate, self_sums
from quests_jax.disk.shards import Shards, describe_files, describe_structures, drawn_structures
from quests_jax.disk.task_runners import on_cluster
from quests_jax.disk.tree_selection import tree_choice
from quests_jax.disk.working_folder import Work, digest, rerun_after_repairs

__all__ = [
    "Asked",
    "Shards",
    "Work",
    "compare_shards",
    "compress_shards",
    "describe_files",
    "describe_structures",
    "digest",
    "drawn_structures",
    "estimate",
    "follow_shards",
    "large_cover",
    "on_cluster",
    "outliers_of_shards",
    "overlaps_of_shards",
    "rerun_after_repairs",
    "self_sums",
    "tree_choice",
]
