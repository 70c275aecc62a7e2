"""Examples in docstrings run, and every public name that can be called has one."""

from __future__ import annotations

import ast
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "quests_jax"
FOLDERS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
PATHS = sorted(path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))
WITHOUT = {"cli"}  # its docstring is what `quests-jax --help` prints; `main` shows how it is called


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Names and docstrings of a module and of all that it defines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            yield getattr(node, "name", path.stem), ast.get_docstring(node) or ""


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for name, text in docstrings(path):
        example = doctest.DocTestParser().get_doctest(text, dict(vars(module)), name, str(path), 0)
        printed: list[str] = []
        assert not runner.run(example, out=printed.append).failed, "".join(printed)


@pytest.mark.parametrize("package", ["quests_jax", *(f"quests_jax.{folder}" for folder in FOLDERS)])
def test_public_names_have_an_example(package: str) -> None:
    module = importlib.import_module(package)
    shown = {name for path in PATHS for name, text in docstrings(path) if ">>>" in text}
    public = {name for name in getattr(module, "__all__", ()) if callable(getattr(module, name))}
    instances = {name for name in public if isinstance(getattr(module, name), tuple)}
    assert public - instances - shown - WITHOUT == set()
