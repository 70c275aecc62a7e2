"""The pages of the documentation speak of modules and files that exist, and what they execute runs."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "papers" / "docs"
PAGES = sorted(DOCS.glob("pages/**/*.md"))


def blocks(path: Path) -> list[str]:
    """Code that runs when the page is built."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^```python exec[^\n]*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_blocks_of_a_page_run_in_order(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    together: dict[str, object] = {}
    for code in blocks(path):
        compiled = compile(code, path.name, "exec")
        if path.stem != "tutorial":  # takes a minute; `make docs` runs it and fails where it fails
            exec(compiled, together)
            assert capsys.readouterr().out


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_reference_names_what_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name, members in re.findall(r"^::: ([\w.]+)(?:\n    options:\n      members: \[(.*)\])?", text, re.M):
        module = importlib.import_module(name)
        for member in filter(None, members.split(", ")):
            assert hasattr(module, member), f"{name}.{member}"


def test_pages_of_the_menu_exist() -> None:
    if not DOCS.exists():
        pytest.skip("no documentation beside these tests")
    menu = (DOCS / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2].partition("\nvalid")[0]
    for name in re.findall(r": (\S+\.md)$", menu, flags=re.MULTILINE):
        assert (DOCS / "pages" / name).exists() or (ROOT / name).exists(), name
