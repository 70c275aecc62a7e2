"""What a data set would take on disk, in messages and in memory, from the sizes of its stages alone.

    python experiments/scale/plan.py --structures 1e8

Nothing is computed but sizes. `--tasks N` sends N empty tasks of the real size through a Dask scheduler of
this process, and measures how many a second it passes on.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from quests_jax.datasets import bundled
from quests_jax.disk import Work, describe_files
from quests_jax.disk.cover_stages import TARGETS
from quests_jax.disk.cover_targets import Asked, pose_on_disk
from quests_jax.disk.shard_sums import BLOCK
from quests_jax.disk.shards import SHARD_ROWS, SHARD_STRUCTURES
from quests_jax.disk.tree_selection import OVERSAMPLE, ROOT
from quests_jax.studies.choice_within_limits import Limits

WIDTH = 63  # features of an environment
GEOMETRY = 28  # bytes of an atom: element and position
PLACE = 32  # bytes of a structure in memory: atoms, file, number there, number of all
FILL = 0.035  # of the masses at targets that are stored, in a mix of real data
STORED, HELD = 8, 24  # bytes of a mass on disk and in a choice
MANIFEST = 2000  # bytes


class Row(NamedTuple):
    """Something that grows with the data."""

    what: str
    tasks: float
    gigabytes: float  # on disk
    memory: float  # GB in the largest process


def rows(structures: float, atoms: float, share: float) -> list[Row]:
    """Sizes of every stage of a choice of a share of the structures."""
    n = structures * atoms
    shards = max(structures / SHARD_STRUCTURES, n / SHARD_ROWS)
    targets = max(1.5 * TARGETS, shards)  # drawn from groups of structures, which are of one shard each
    root = min(n, max(ROOT, OVERSAMPLE * share * n))
    places = structures * PLACE / 1e9
    masses = structures * FILL * targets / 1e9
    candidates = (OVERSAMPLE + 1) * share * masses
    return [
        Row("reading", 1, n * GEOMETRY / 1e9, places),
        Row("descriptors", shards, 8 * WIDTH * n / 1e9, places),
        Row("exact sums", n / BLOCK, 8 * n / 1e9, places + 8 * n / 1e9),
        Row("sample sums", shards, shards * 2000 * 8 / 1e9, places),
        Row("targets of cover", shards, 8 * WIDTH * targets / 1e9, 8 * WIDTH * targets / 1e9),
        Row("masses at targets", shards, STORED * masses, places),
        Row("choice of cover", 1, 0, HELD * candidates),
        Row("two stages of any rule", shards + 1, 0, 8 * WIDTH * root / 1e9),
        Row("coverage", shards, 8 * n / 1e9, 8 * n / 1e9),
        Row("manifests", 0, 12 * MANIFEST / 1e9, 0),
    ]


def message() -> bytes:
    """A task as a worker is sent it."""
    with tempfile.TemporaryDirectory() as folder:
        shards = describe_files(Work(Path(folder)), [(bundled(), slice(2))], k=8, cutoff=4.0)
        return pickle.dumps(
            partial(print, pose_on_disk(shards, Asked(Limits(1)), bandwidth=0.015, targets=TARGETS))
        )


def nothing(content: bytes, number: int) -> None:
    """An empty task."""


def rate(content: bytes, tasks: int) -> float:
    """Empty tasks a second through a scheduler and two workers."""
    import distributed

    with distributed.LocalCluster(
        2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        with distributed.Client(cluster) as client:
            since = time.perf_counter()
            client.gather(client.map(partial(nothing, content), range(tasks), pure=False))
            return tasks / (time.perf_counter() - since)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=float, default=1e8)
    parser.add_argument("--atoms", type=float, default=32)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--tasks", type=int, default=0)
    options: Any = parser.parse_args(arguments)
    print("| stage | tasks | GB on disk | GB in one process |\n| --- | --- | --- | --- |")
    for row in rows(options.structures, options.atoms, options.share):
        print(f"| {row.what} | {row.tasks:,.0f} | {row.gigabytes:,.2f} | {row.memory:,.2f} |")
    content = message()
    print(f"\na task is {len(content):,} bytes")
    if options.tasks:
        print(f"{rate(content, options.tasks):,.0f} tasks a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
