"""Data sets past memory and past one machine: streamed from disk, resumable, divided among processes."""

from quests_jax.large.compress import compress_shards
from quests_jax.large.cover import large_cover
from quests_jax.large.dataset import Shards, describe_file
from quests_jax.large.processes import join, watched
from quests_jax.large.sums import estimate, self_sums
from quests_jax.large.work import Work, digest, persevere

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
