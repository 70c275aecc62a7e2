"""Every example of the README runs, and every name in its table exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import quests_jax
from quests_jax.cli import cli, main

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
TABLE = README[README.index("## Coming from QUESTS") : README.index("No counterpart yet")]


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = [code for language, code in BLOCKS if language == "python"]
    for code in examples:
        exec(compile(code, "README.md", "exec"), {})
    assert examples
    assert quests_jax.read("small.xyz")


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


@pytest.mark.parametrize("name", sorted(set(re.findall(r"qj\.(\w+)", README))))
def test_functions_of_the_readme_exist(name: str) -> None:
    assert callable(getattr(quests_jax, name))
