"""Programs in processes of their own, with shards so small that a small file has many.

They are forked from one process that has imported what they need and has not used a device: to import it
takes longer than what most of them do.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

import quests_jax.disk.shard_sums as sums
import quests_jax.disk.shards as dataset

ROWS, STRUCTURES, BLOCK, GROUP = 256, 12, 256, 2
HERE = Path(__file__)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["quests_jax.cli", "quests_jax.disk", "ase.build", "scipy.optimize", "distributed"]
)


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


def begin(module: str, *words: str, cache: Path, errors: Path | str = os.devnull) -> BaseProcess:
    """Start `python -m module words`, with a folder of compiled programs and a file of its errors."""
    process = FORKS.Process(target=_run, args=(module, words, str(cache), str(errors)))
    process.start()
    return process


def _run(module: str, words: tuple[str, ...], cache: str, errors: str) -> None:
    os.environ["QUESTS_JAX_CACHE"] = cache
    for path, stream in ((os.devnull, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    np.seterr(all="raise", under="ignore")
    small_shards()
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__")


def compress(
    folder: Path, output: str, *more: str, cache: Path, errors: Path | str = os.devnull
) -> BaseProcess:
    """Compress data.xyz of a folder in its subfolder work."""
    words = ("compress", str(folder / "data.xyz"), "-s", "12", "-m", "cover", "--work", str(folder / "work"))
    return begin("quests_jax", *words, "-o", str(folder / output), *more, cache=cache, errors=errors)


def ended(process: BaseProcess) -> int:
    """Exit code of a process, which must end within five minutes."""
    process.join(300)
    assert process.exitcode is not None
    return process.exitcode


def choice(path: Path) -> dict[str, Any]:
    """What a run chose, and how good it says that is."""
    found = json.loads(path.read_text())
    return {
        name: found[name] for name in ("selected", "gains", "coverage", "upper_bound", "max_delta_entropy")
    }
