"""One run that nobody disturbed, for those that are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from driver import compress, crystals, ended

import quests_jax as qj

PROGRAMS = Path(os.environ["JAX_COMPILATION_CACHE_DIR"]) / "undisturbed"


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data.xyz, answer.json, the results on the way there, and the compiled programs.

    Programs of its own, because a process that is killed may leave the half of one, and because only a
    program that is compiled there is found by the next process without being traced. Those of this run are
    complete, and kept for later runs.
    """
    folder = tmp_path_factory.mktemp("undisturbed")
    cache = folder / "cache"
    cache.mkdir()
    add_programs(PROGRAMS, cache)
    qj.write(folder / "data.xyz", crystals(60, atoms=8))
    assert ended(compress(folder, "answer.json", cache=cache)) == 0
    add_programs(cache, PROGRAMS)
    return folder


def add_programs(source: Path, target: Path) -> None:
    """Copy the compiled programs that are in one folder and not in another."""
    target.mkdir(parents=True, exist_ok=True)
    for program in source.glob("*"):
        if not (target / program.name).exists():
            shutil.copy(program, target)
