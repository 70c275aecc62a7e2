"""Data sets past memory and past one machine: streamed from disk, resumable, divided among processes."""

from quests_jax.disk.compression import compress_shards
from quests_jax.disk.covers import large_cover
from quests_jax.disk.processes import heartbeat, join
from quests_jax.disk.shards import Shards, describe_file, drawn_structures
from quests_jax.disk.sums import estimate, self_sums
from quests_jax.disk.work import Work, digest, rerun_after_repairs

__all__ = [
    "Shards",
    "Work",
    "compress_shards",
    "describe_file",
    "digest",
    "drawn_structures",
    "estimate",
    "join",
    "large_cover",
    "rerun_after_repairs",
    "self_sums",
    "heartbeat",
]
