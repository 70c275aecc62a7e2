"""One run that nobody disturbed, for those that are."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from driver import command, crystals, environment

import quests_jax as qj

PROGRAMS = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data.xyz, answer.json, the results on the way there, and the compiled programs.

    Programs of its own, because a process that is killed may leave the half of one; what this run adds to
    the programs that are there already is complete, and kept for later runs.
    """
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "cache").mkdir()
    add_programs(PROGRAMS, folder / "cache")
    qj.write(folder / "data.xyz", crystals(100, atoms=8))
    subprocess.run(command(folder, "answer.json"), env=environment(folder / "cache"), check=True, timeout=300)
    add_programs(folder / "cache", PROGRAMS)
    return folder


def add_programs(source: Path, target: Path) -> None:
    """Copy the compiled programs that are in one folder and not in another."""
    for program in source.glob("*-cache"):
        if not (target / program.name).exists():
            shutil.copy(program, target)
