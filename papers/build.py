"""Write the numbers, tables and figures of the pages in this folder, from the results of the experiments.

    python papers/build.py

A number that comes from an experiment stands between marks, <!--name-->number<!--/-->, in the pages.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import compression
import figures
import information
import potentials
import rules
from sources import Values

FOLDER = Path(__file__).resolve().parent
PAGES = tuple(sorted(FOLDER.glob("*.md")))
FILLED = (*PAGES, FOLDER / "docs" / "pages" / "choosing.md")  # those that hold marks
MARKED = re.compile(r"<!--(\w+)-->(.*?)<!--/-->", re.DOTALL)


def fill(text: str, values: Values) -> str:
    """The page with the present value behind every mark; a KeyError names a mark that nothing stands for."""
    return MARKED.sub(lambda found: f"<!--{found[1]}-->{values[found[1]]}<!--/-->", text)


def values() -> Values:
    """What stands behind every name that a page may mark."""
    return information.values() | compression.values() | potentials.values() | rules.values()


def main() -> int:
    """Fill every page, and draw the figures whose data have changed."""
    present = values()
    for page in FILLED:
        text = page.read_text(encoding="utf-8")
        filled = fill(text, present)
        if filled != text:
            page.write_text(filled, encoding="utf-8")
            print(f"wrote {page.name}")
    for name, draw in figures.FIGURES.items():
        if figures.drawn_from(FOLDER / name) != figures.digest(name):
            draw(FOLDER / name)
            print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
