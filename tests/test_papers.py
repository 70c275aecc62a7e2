"""The pages of the papers say what the results of the experiments say, and what docstrings cite exists."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAPERS = ROOT / "papers"
PAGES = {"schwalbe-koda:25": "schwalbe_koda_2025.md", "schwalbe-koda:25b": "yu_2025.md"}
SOURCE = {path: path.read_text(encoding="utf-8") for path in (ROOT / "quests_jax").rglob("*.py")}


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """papers/build.py, with the modules beside it."""
    if not PAPERS.exists():
        pytest.skip("no papers beside these tests")
    sys.path.insert(0, str(PAPERS))
    try:
        import build  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.remove(str(PAPERS))
    return build


def test_every_number_of_the_pages_is_that_of_the_results(build: ModuleType) -> None:
    values = build.values()
    for page in build.FILLED:
        text = page.read_text(encoding="utf-8")
        assert build.fill(text, values) == text, f"{page.name} is out of date; run make papers"
    marked = {name for page in build.FILLED for name, _ in build.MARKED.findall(page.read_text("utf-8"))}
    assert values.keys() == marked, "numbers that no page shows"


def test_no_line_of_a_page_begins_with_a_marked_number(build: ModuleType) -> None:
    """Markdown would end the paragraph or the list there; what stands alone on its line is a table."""
    for page in build.FILLED:
        broken = re.findall(r"^ *<!--\w+-->\S.*", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert not broken, f"{page.name}: {broken}"


def test_a_changed_number_is_written_back(build: ModuleType) -> None:
    assert build.fill("a <!--n-->1<!--/--> b <!--m--><!--/-->", {"n": "2", "m": "3"}) == (
        "a <!--n-->2<!--/--> b <!--m-->3<!--/-->"
    )
    with pytest.raises(KeyError, match="unknown"):
        build.fill("<!--unknown--><!--/-->", {})


def test_figures_were_drawn_from_the_present_results(build: ModuleType) -> None:
    for name in build.figures.FIGURES:
        found = build.figures.drawn_from(PAPERS / name)
        assert found == build.figures.digest(name), f"{name} is out of date; run make papers"


def test_links_of_the_pages_lead_somewhere(build: ModuleType) -> None:
    for page in build.PAGES:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert link.startswith("http") or (PAPERS / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("key", PAGES)
def test_equations_that_docstrings_cite_are_on_the_page(key: str) -> None:
    if not PAPERS.exists():
        pytest.skip("no papers beside these tests")
    page = (PAPERS / PAGES[key]).read_text(encoding="utf-8")
    there = set(re.findall(r"^\| \((\d+)\) \|", page, flags=re.MULTILINE))
    cited = {n for text in SOURCE.values() for part in _citations(text, key) for n in part}
    assert cited
    assert cited <= there


def _citations(text: str, key: str) -> list[list[str]]:
    return [re.findall(r"\((\d+)\)", part) for part in re.findall(rf"\[{re.escape(key)}, ([^\]]*)\]", text)]


def test_keys_that_docstrings_cite_are_in_the_bibliography() -> None:
    if not PAPERS.exists():
        pytest.skip("no papers beside these tests")
    known = set(re.findall(r"^@\w+\{([^,]+),", (PAPERS / "references.bib").read_text("utf-8"), re.MULTILINE))
    cited = {key for text in SOURCE.values() for key in re.findall(r"\[([a-z-]+:\d\d[a-z]?)[\],]", text)}
    assert cited
    assert cited <= known
