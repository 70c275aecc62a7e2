"""The command line in a process of its own, with shards so small that a small file has many."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

import quests_jax.disk.shard_sums as sums
import quests_jax.disk.shards as dataset
from quests_jax.cli import main

ROWS, STRUCTURES, BLOCK, GROUP = 256, 12, 256, 2
HERE = Path(__file__)


def small_shards() -> None:
    dataset.SHARD_ROWS, dataset.SHARD_STRUCTURES = ROWS, STRUCTURES
    sums.BLOCK, sums.GROUP = BLOCK, GROUP


def crystals(n: int, *, atoms: int = 4) -> list[Atoms]:
    """Rattled copper of many amplitudes: from copies of one environment to no two alike."""
    structures = []
    for number in range(n):
        structure = bulk("Cu", cubic=True).repeat((1, 1, max(1, atoms // 4)))
        structure.rattle(0.01 * (number % 7), seed=number)
        structure.positions = structure.positions.round(8)
        structures.append(structure)
    return structures


def environment(cache: Path) -> dict[str, str]:
    """Of a subprocess: the package of this checkout, and compiled programs kept between runs."""
    root = str(HERE.parents[2])
    return os.environ | {"PYTHONPATH": root, "QUESTS_JAX_CACHE": str(cache)}


def command(folder: Path, output: str) -> list[str]:
    """Compress data.xyz of a folder in its subfolder work."""
    compress = [
        "compress",
        str(folder / "data.xyz"),
        "-s",
        "12",
        "-m",
        "cover",
        "--work",
        str(folder / "work"),
    ]
    return [sys.executable, str(HERE), *compress, "-o", str(folder / output)]


def choice(path: Path) -> dict[str, Any]:
    """What a run chose, and how good it says that is."""
    found = json.loads(path.read_text())
    return {
        name: found[name] for name in ("selected", "gains", "coverage", "upper_bound", "max_delta_entropy")
    }


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    small_shards()
    sys.exit(main(sys.argv[1:]))
