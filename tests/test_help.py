"""Help that can be trusted: every example of every help page runs, and every command has a job."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from command_line import Call, call

from quests_jax.cli import cli, generation
from quests_jax.cli.help_layout import ABOUT, JOBS

__all__ = ["call"]  # the fixture

EXAMPLES = [
    line.strip().removeprefix("quests-jax ")
    for command in cli.commands.values()
    for line in (command.epilog or "").splitlines()
    if line.strip().startswith("quests-jax ")
]
KINDS = ("bulk_cold", "surface_111", "liquid")


def structures(seed: int) -> list[Atoms]:
    """Small structures of three kinds with energies and forces, and copies that are never exact."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(36):
        atoms = bulk("NaCl", "rocksalt", a=5.6 + 0.01 * (number % 5))
        atoms.rattle(0.02 * (1 + number % 4), seed=1000 * seed + number)
        atoms.info |= {
            "config_type": KINDS[number % 3],
            "step": number,
            "run": number // 6,
            "REF_energy": -6.0,
        }
        forces = generator.normal(size=(len(atoms), 3))
        atoms.calc = SinglePointCalculator(
            atoms, energy=float(-3 * len(atoms)), forces=forces - forces.mean(axis=0)
        )
        made.append(atoms)
    return made


def unchanged(start: Atoms, *_: object, **__: object) -> SimpleNamespace:
    """Stand-in for the search of a new structure, which takes long."""
    return SimpleNamespace(
        structure=start.copy(), closest=2.0, delta_entropy=np.zeros(len(start)), history=[0.0]
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that an example reads."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "runs").mkdir()
    for number, example in enumerate(EXAMPLES):
        for word in shlex.split(re.sub(r"(-o|--rest) \S+", "", example)):
            word = f"{word}part.xyz" if word.endswith("/") else word
            path = folder / word.partition("@")[0].replace("*", "1")
            if path.name.endswith((".xyz", ".xyz.gz", ".traj")) and not path.exists():
                path.parent.mkdir(exist_ok=True, parents=True)
                ase.io.write(path, structures(number))
    return folder


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.filterwarnings("ignore::UserWarning")  # that the bandwidth does not fit
def test_every_example_runs(
    call: Call, example: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "OUTCAR" in example or "--group" in example:
        pytest.skip("needs files of several runs")
    if "chemiscope" in example:
        pytest.importorskip("chemiscope")
    if example.startswith("work "):
        assert call("compress", "data.xyz", "-s", "2", "-m", "cover", "--work", "folder").code == 0
    monkeypatch.setattr(generation, "simulate", lambda *_, **__: structures(0)[:2])
    monkeypatch.setattr(generation, "augment_one", unchanged)
    Path("data.xyz").unlink()
    for path in files.rglob("*"):
        target = tmp_path / path.relative_to(files)
        if path.is_file() and not target.exists():
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(path)
    outcome = call(*shlex.split(example), "--overwrite")
    assert outcome.code in (0, 1), outcome.err
    for name in re.findall(r"(?:-o|--rest) (\S+)", example):
        assert (tmp_path / name).exists() or f"nothing to write to {name}" in outcome.out


def test_every_command_has_a_job_and_every_option_a_place() -> None:
    assert set(cli.commands) <= {name for names in JOBS.values() for name in names}
    options = {param.name for command in cli.commands.values() for param in command.params}
    assert {"bandwidth", "outputs", "scheduler"} <= options
    assert {"work", "scheduler"} == set(ABOUT["Data past memory, clusters"])


def test_help_shows_jobs_and_groups(call: Call) -> None:
    page = call("--help").out
    assert page.index("Choose structures:") < page.index("compress") < page.index("compare")
    page = call("compress", "--help").out
    places = [
        page.index(words) for words in ("--coverage FLOAT", "Descriptor and kernel:", "--scheduler ADDRESS")
    ]
    assert places == sorted(places)
    assert "greedy set cover" in page
