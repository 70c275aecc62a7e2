"""Every command and every piece of Python in the recipes runs, on small data of the kind that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from quests_jax.cli import main

RECIPES = Path(__file__).resolve().parents[1] / "papers" / "docs" / "pages" / "recipes"
PAGES = sorted(RECIPES.glob("*.md"))
HEADINGS = ("Scenario", "Input", "What you see", "How to check", "When not to")


def structures(kind: Atoms, number: int, seed: int) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    made = []
    for index in range(number):
        atoms = kind.copy()
        atoms.rattle(0.02 + 0.08 * (index % 3), seed=seed + index)
        atoms.info["config_type"] = f"kind {index % 3}"
        atoms.arrays["features"] = rng.normal(size=(len(atoms), 4)) + index % 3
        atoms.calc = SinglePointCalculator(
            atoms, energy=-3.0 * len(atoms) + rng.normal(0, 0.01), forces=rng.normal(size=(len(atoms), 3))
        )
        made.append(atoms)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the recipes name."""
    place = tmp_path_factory.mktemp("recipes")
    copper, salt = bulk("Cu", cubic=True), bulk("NaCl", "rocksalt", 5.6, cubic=True)
    for name, kind, number, seed in (
        ("data", copper, 24, 0),
        ("pool", copper, 24, 100),
        ("train", copper, 12, 0),
        ("test", copper, 6, 50),
        ("md", copper, 12, 200),
        ("salt", salt, 12, 0),
        ("described", copper, 24, 0),
    ):
        ase.io.write(place / f"{name}.xyz", structures(kind, number, seed), format="extxyz")
    return place


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.filterwarnings("ignore::UserWarning")  # advice for people
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_code_run(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for line in "".join(blocks(page, "sh")).splitlines():
        assert (
            main([*shlex.split(line)[1:], "--overwrite"] if " -o " in line else shlex.split(line)[1:]) == 0
        ), line
    for code in blocks(page, "python"):
        exec(compile(code, page.name, "exec"), {"__name__": "__recipe__"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_recipe_says_when_to_use_it_how_to_check_and_when_not_to(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if "**Scenario.**" in text:
        assert [heading for heading in HEADINGS if f"**{heading}.**" not in text] == []
