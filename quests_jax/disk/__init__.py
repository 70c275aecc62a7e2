"""Data sets past memory and past one machine: streamed from disk, resumable, divided among processes."""

from quests_jax.disk.compression import compress_shards
from quests_jax.disk.covers import large_cover
from quests_jax.disk.processes import join, watched
from quests_jax.disk.shards import Shards, describe_file
from quests_jax.disk.sums import estimate, self_sums
from quests_jax.disk.work import Work, digest, persevere

__all__ = [
    "Shards",
    "Work",
    "compress_shards",
    "describe_file",
    "digest",
    "estimate",
    "join",
    "large_cover",
    "persevere",
    "self_sums",
    "watched",
]
