"""The import direction of the package, read from its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "quests_jax"
ROOT = PACKAGE.name

# A module may import its own part of the package and the rows below, so those of one row never meet.
ROWS = (
    ("__main__",),
    ("cli",),
    ("output",),
    ("disk",),
    ("studies", "generate", "datasets"),
    ("cover",),
    ("atoms", "information"),
    ("base",),
)
HEIGHT = {part: -depth for depth, parts in enumerate(ROWS) for part in parts}
HOMES = {
    "chemiscope": {"output.chemiscope_files"},
    "jax_md": {"datasets.jaxmd_potentials"},
    "vesin": {"atoms.host_pair_search"},
}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py"
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module named by an import statement, anywhere in the tree, as an absolute dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner.removeprefix(f"{ROOT}.") in MODULES else str(node.module)


def own_imports(name: str) -> set[str]:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    return {module.removeprefix(f"{ROOT}.") for module in imported(tree) if module.split(".")[0] == ROOT}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_downwards(name: str) -> None:
    part = name.split(".")[0]
    for other in own_imports(name):
        assert other != ROOT, f"{name} imports the package root"
        below = HEIGHT[other.split(".")[0]] < HEIGHT[part]
        assert below or other.split(".")[0] == part, f"{name} imports {other}"


def test_no_cycles() -> None:
    TopologicalSorter({name: own_imports(name) - {name} for name in MODULES}).prepare()


@pytest.mark.parametrize("library", sorted(HOMES))
def test_slow_libraries_stay_at_home_and_inside_functions(library: str) -> None:
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        users = {module for module in imported(tree) if module.split(".")[0] == library}
        assert not users or name in HOMES[library], f"{name} imports {library}"
        top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        for node in top:
            assert library not in {module.split(".")[0] for module in imported(node)}, (
                f"{name} is slow to import"
            )


FOLDERS = {
    "base",
    "atoms",
    "information",
    "cover",
    "studies",
    "generate",
    "datasets",
    "disk",
    "output",
    "cli",
}
FILES = {"__init__.py", "__main__.py", "py.typed"}
LONGEST = 300  # lines of a module


def test_the_package_is_ten_folders_and_three_files() -> None:
    files = [path.relative_to(PACKAGE).parts for path in PACKAGE.rglob("*") if path.is_file()]
    kept = [parts for parts in files if "__pycache__" not in parts]
    assert {parts[0] for parts in kept if len(parts) > 1} == FOLDERS
    assert {parts[0] for parts in kept if len(parts) == 1} == FILES


def test_modules_are_short() -> None:
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert not {name: count for name, count in lines.items() if count > LONGEST}


@pytest.mark.parametrize("folder", ["atoms", "information", "cover", "studies", "generate"])
def test_nothing_below_the_command_line_prints(folder: str) -> None:
    for name in (name for name in MODULES if name.split(".")[0] == folder):
        tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not called & {"print", "click.echo", "sys.stdout.write"}, name
        assert not {"click", "rich"} & {module.split(".")[0] for module in imported(tree)}, name


@pytest.mark.parametrize("folder", ["cli", "output"])
def test_no_command_computes_kernels(folder: str) -> None:
    """Commands and pages show what studies return; they call no kernel sum and no solver."""
    for name in (name for name in MODULES if name.split(".")[0] == folder):
        below = {module for module in own_imports(name) if module.startswith("information.sums")}
        assert not below, f"{name} imports {below}"


def test_kernels_are_formed_by_the_engine() -> None:
    width = re.compile(r"\b(?:2(?:\.0)?|0\.5) ?[*/] ?\(?(?:bandwidth|h) ?\*\* ?2|/ ?\(2 \* bandwidth")
    for name, path in MODULES.items():
        if not name.startswith("information.sums"):
            assert not width.search(_code(path)), name


def test_an_entropy_is_formed_in_one_function() -> None:
    """The logarithm of a number minus something: ln n − ⟨ln p⟩."""
    formed = {
        (name, function.name)
        for name, path in MODULES.items()
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and _is_logarithm(node.left)
        and not _is_logarithm(node.right)
    }
    others = {("cover.solvers.soft_newton", "newton")}  # of odds
    assert formed - others == {("information.measures", "entropy_from")}


def _is_logarithm(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "log"


def _code(path: Path) -> str:
    """The source without docstrings and comments."""
    return ast.unparse(_without_docstrings(ast.parse(path.read_text(encoding="utf-8"))))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def test_test_modules_have_names_of_their_own() -> None:
    """Otherwise pytest imports one in place of the other and stops."""
    names = [path.name for path in Path(__file__).parent.rglob("*.py") if path.name != "conftest.py"]
    assert len(names) == len(set(names)), [name for name in set(names) if names.count(name) > 1]
