"""The folders of the package, their modules and who imports whom, read from the source.

python papers/architecture.py    # prints the diagram of the architecture page, as SVG
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1] / "quests_jax"
WIDTH, HEIGHT, ACROSS, DOWN = 150, 44, 190, 92  # of a box, and between boxes, in pixels


class Module(NamedTuple):
    """A module, its folder, the first line of its docstring, and the folders it imports from."""

    name: str
    folder: str
    summary: str
    lines: int
    imports: frozenset[str]


@cache
def modules() -> tuple[Module, ...]:
    """Every module inside the folders of the package."""
    return tuple(_read(path) for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE)


def _read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    place = path.relative_to(PACKAGE)
    summary = (ast.get_docstring(tree) or "").split("\n")[0]
    return Module(
        place.as_posix(), place.parts[0], summary, len(text.splitlines()), frozenset(_imported(tree))
    )


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE.name + "."):
            yield node.module.split(".")[1]


def folder_imports() -> dict[str, set[str]]:
    """The folders that each folder imports from."""
    found: dict[str, set[str]] = {}
    for module in modules():
        found.setdefault(module.folder, set()).update(module.imports - {module.folder})
    return {folder: below & found.keys() for folder, below in found.items()}


def rows(imports: dict[str, set[str]]) -> list[list[str]]:
    """Folders by height, the highest first: each stands above all that it imports."""

    @cache
    def height(folder: str) -> int:
        return max((height(below) + 1 for below in imports[folder]), default=0)

    levels: dict[int, list[str]] = {}
    for folder in sorted(imports):
        levels.setdefault(height(folder), []).append(folder)
    return [levels[level] for level in sorted(levels, reverse=True)]


def direct(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same imports without those that follow from others: a folder two steps below is left out."""

    @cache
    def below(folder: str) -> frozenset[str]:
        return frozenset(imports[folder]).union(*(below(each) for each in imports[folder]))

    return {
        folder: {each for each in own if not any(each in below(other) for other in own - {each})}
        for folder, own in imports.items()
    }


def diagram() -> str:
    """Boxes of folders with arrows to the folders they import from, as SVG."""
    imports = folder_imports()
    arrows = direct(imports)
    levels = _arranged(rows(imports), arrows)
    width = ACROSS * max(map(len, levels))
    row = {folder: number for number, level in enumerate(levels) for folder in level}
    place = {
        folder: (width / 2 + ACROSS * (column - (len(level) - 1) / 2), HEIGHT / 2 + 4 + DOWN * row[folder])
        for level in levels
        for column, folder in enumerate(level)
    }
    lines = [
        (_arrow if row[below] == row[above] + 1 else _long_arrow)(place[above], place[below])
        for above in sorted(arrows)
        for below in sorted(arrows[above])
    ]
    boxes = [_box(folder, *place[folder]) for folder in place]
    size = f'viewBox="0 0 {width} {DOWN * len(levels) - DOWN + HEIGHT + 8}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" style="max-width: 100%"',
            'aria-label="folders of the package, each above those it imports" font-family="sans-serif">',
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"',
            'orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor"/></marker></defs>',
            *lines,
            *boxes,
            "</svg>",
        ]
    )


def _arranged(levels: list[list[str]], arrows: dict[str, set[str]]) -> list[list[str]]:
    """Folders that are imported from further up stand at the ends of their row, where there is room."""
    found = [levels[0]]
    for above, level in pairwise(levels):
        far = [
            folder for folder in level if any(folder in arrows[each] for each in arrows.keys() - set(above))
        ]
        near = [folder for folder in level if folder not in far]
        found.append(far[::2] + near + far[1::2])
    return found


def _box(folder: str, x: float, y: float) -> str:
    count = sum(module.folder == folder for module in modules())
    left, top = x - WIDTH / 2, y - HEIGHT / 2
    return (
        f'<g><rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#e8eaf6" '
        f'stroke="#3f51b5"/><text x="{x}" y="{y - 3}" text-anchor="middle" font-size="15" fill="#1a237e" '
        f'font-weight="bold">{folder}</text><text x="{x}" y="{y + 14}" text-anchor="middle" font-size="11" '
        f'fill="#1a237e">{count} modules</text></g>'
    )


def _arrow(above: tuple[float, float], below: tuple[float, float]) -> str:
    (x, y), (u, v) = above, below
    start, end = y + HEIGHT / 2, v - HEIGHT / 2 - 2
    middle = (start + end) / 2
    return _path(f"M{x} {start}C{x} {middle} {u} {middle} {u} {end}")


def _long_arrow(above: tuple[float, float], below: tuple[float, float]) -> str:
    (x, y), (u, v) = above, below
    side = x + WIDTH / 2 * (1 if u > x else -1)
    bend = y + DOWN / 2 if abs(u - x) < WIDTH else y
    if bend > y:  # between the columns of the row that it passes
        return _path(
            f"M{x} {y + HEIGHT / 2}C{x} {bend} {u} {bend} {u} {bend + DOWN / 4}V{v - HEIGHT / 2 - 2}"
        )
    return _path(f"M{side} {y}C{u} {y} {u} {y} {u} {y + DOWN / 2}V{v - HEIGHT / 2 - 2}")


def _path(steps: str) -> str:
    style = 'fill="none" stroke="currentColor" stroke-opacity="0.6" marker-end="url(#head)"'
    return f'<path d="{steps}" {style}/>'


def table() -> str:
    """Every module with the first line of its docstring, as Markdown."""
    lines = ["| module | lines | what it does |", "|---|---|---|"]
    lines += [f"| `{each.name}` | {each.lines} | {each.summary} |" for each in modules() if each.summary]
    return "\n".join(lines)


if __name__ == "__main__":
    print(diagram())
