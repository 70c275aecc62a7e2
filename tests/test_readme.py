"""Every example of the README runs, and every name in its table exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import quests_jax
from quests_jax import cover, datasets, information
from quests_jax.cli import cli, main, past_memory
from quests_jax.datasets import bundled

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
TABLE = README[README.index("## Coming from QUESTS") : README.index("No counterpart yet")]


@pytest.fixture
def few(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some structures of the bundled data set in its place, so few that sums need no tiles."""
    file = tmp_path_factory.mktemp("few") / "silicon.xyz"
    whole = quests_jax.read(bundled())
    small = [atoms for atoms in whole if len(atoms) <= 10]
    quests_jax.write(file, [*whole[:20:4], *small[::2]])
    for module in (datasets, past_memory):
        monkeypatch.setattr(module, "bundled", lambda: file)


@pytest.mark.usefixtures("few")
def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = [code for language, code in BLOCKS if language == "python"]
    for code in examples:
        exec(compile(code, "README.md", "exec"), {})
    assert examples
    assert quests_jax.read("small.xyz")


@pytest.mark.usefixtures("few")
@pytest.mark.filterwarnings("ignore::UserWarning")  # that the bandwidth does not fit so few structures
def test_command_line_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]
    assert {shlex.split(line)[0] for line in lines} == {"quests-jax"}
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, line
    assert len(quests_jax.read("five_more.xyz")) == 5


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`quests-jax ([\w-]+)", TABLE))))
def test_commands_of_the_table_exist(name: str) -> None:
    assert name in cli.commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files and the names that the table speaks of."""
    place = tmp_path_factory.mktemp("table")
    structures = quests_jax.read(bundled())
    for start, name in enumerate(("FILE", "TEST", "NEW", "REF")):  # of one shape, so that programs serve all
        quests_jax.write(place / f"{name}.xyz", structures[start : start + 32 : 4])
    return place


def in_the_table() -> list[str]:
    """Code of the second column, command lines with their files as FILE.xyz."""
    cells = [line.split(" | ")[1] for line in TABLE.splitlines() if line.startswith("| `")]
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell) if not code.startswith("-")]


@pytest.mark.parametrize("code", sorted(set(in_the_table())))
def test_every_line_of_the_table_runs(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    if code.startswith("quests-jax"):
        words = shlex.split(re.sub(r"\b(FILE|TEST|REF|NEW)\b", r"\1.xyz", code))[1:]
        assert main(words + (["-o", "x.npz", "--overwrite"] if words[0] == "descriptors" else [])) == 0
        return
    structures = quests_jax.read("FILE.xyz")
    envs = quests_jax.environments(structures)
    selection = quests_jax.greedy_cover(quests_jax.cover_problem(envs), size=5)
    names = {"qj": quests_jax, "cover": cover, "information": information, "structures": structures}
    names |= {
        "envs": envs,
        "x": envs.x,
        "y": envs.x,
        "structure_id": envs.structure_id,
        "selection": selection,
    }
    assert eval(code, names | {"n": 3, "volume": 20.0}) is not None


@pytest.mark.parametrize("name", sorted(set(re.findall(r"qj\.(\w+)", README))))
def test_functions_of_the_readme_exist(name: str) -> None:
    assert callable(getattr(quests_jax, name))
