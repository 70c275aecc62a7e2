"""One run that nobody disturbed, for those that are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from driver import command, crystals, environment

import quests_jax as qj


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data.xyz, answer.json, the results on the way there, and the compiled programs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    qj.write(folder / "data.xyz", crystals(100, atoms=8))
    subprocess.run(command(folder, "answer.json"), env=environment(folder / "cache"), check=True, timeout=300)
    return folder
