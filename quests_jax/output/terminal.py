"""Terminal output: progress on stderr, tables on stdout, and versions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from quests_jax.base.jax_versions import versions
from quests_jax.base.progress import report_progress
from quests_jax.base.terminal_text import spelled

FRAME = 3  # letters that the frame of a table adds to a column


@contextmanager
def show_progress(quiet: bool) -> Iterator[None]:
    """Draw a bar with rate and time left for every long loop of the block, on a terminal only."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with bars.Progress(*columns, console=console, transient=True) as drawn, report_progress(_drawer(drawn)):
        yield


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]], caption: str) -> None:
    """Print a table on stdout; numbers are aligned to the right, None is shown as unknown.

    Where it is wider than the terminal it is folded into several, which all begin with the first column. A
    folder that all paths in the table share stands below it instead.
    """
    console = Console(file=sys.stdout)
    header = [spelled(name, sys.stdout) for name in header]
    cells = [[spelled(_cell(value), sys.stdout) for value in row] for row in rows]
    cells, folder = without_shared_folder(cells)
    words = [all(_is_word(row[number]) for row in rows) for number in range(len(header))]
    notes = f"{caption}\npaths are in {folder}" if folder else caption
    parts = folded([max(map(len, column)) for column in zip(header, *cells, strict=True)], console.width)
    for number, columns in enumerate(parts):
        last = number == len(parts) - 1
        table = Table(show_header=any(header), caption=Text(notes) if last else None, caption_justify="left")
        for column in columns:
            side = "left" if words[column] or not column else "right"
            table.add_column(header[column], justify=side, overflow="fold")
        for row in cells:
            table.add_row(*(Text(row[column]) for column in columns))
        console.print(table)


def folded(widths: Sequence[int], width: int) -> list[list[int]]:
    """Columns of the tables that a table of these columns becomes on a terminal of this width."""
    first = 1 + widths[0] + FRAME
    parts = [[0]]
    used = first
    for column in range(1, len(widths)):
        needed = widths[column] + FRAME
        if used + needed > width and len(parts[-1]) > 1:
            parts.append([0])
            used = first
        parts[-1].append(column)
        used += needed
    return parts


def without_shared_folder(cells: Sequence[Sequence[str]]) -> tuple[list[list[str]], str]:
    """The cells without the folder that all paths in them share, and that folder; empty if there is none."""
    paths = {cell for row in cells for cell in row if "/" in cell and " " not in cell}
    if len(paths) < 2:
        return [list(row) for row in cells], ""
    shared = os.path.commonprefix([path.rpartition("/")[0] + "/" for path in paths]).rpartition("/")[0]
    if not shared:
        return [list(row) for row in cells], ""
    shorter = [[cell.removeprefix(f"{shared}/") if cell in paths else cell for cell in row] for row in cells]
    return shorter, f"{shared}/"


def print_advice(sentences: Sequence[str]) -> None:
    """Print sentences for a person on stdout, folded to the width of the terminal.

    Lines that are indented hold commands to copy, and are not folded.
    """
    console = Console(file=sys.stdout, highlight=False)
    for sentence in sentences:
        for line in sentence.splitlines():
            console.print(Text(line), soft_wrap=line.startswith(" "))


def version_text() -> str:
    """Versions of the package and of what it stands on, the backend and its devices."""
    numbers = ", ".join(f"{name} {number}" for name, number in versions().items())
    devices = ", ".join(str(device) for device in jax.devices())
    return f"{numbers}\nbackend {jax.default_backend()}: {devices}"


def _drawer(drawn: bars.Progress) -> Callable[[str, int, int], None]:
    tasks: dict[str, bars.TaskID] = {}

    def draw(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            for task in drawn.tasks:  # a stage of unknown length is over when the next one begins
                drawn.update(task.id, visible=task.total is not None)
            tasks[stage] = drawn.add_task(stage, total=None, rate="")
        speed = drawn.tasks[tasks[stage]].speed
        rate = f"{speed:,.0f}/s" if speed else ""
        drawn.update(tasks[stage], completed=done, total=total or None, rate=rate)

    return draw


def _is_word(value: Any) -> bool:
    """Whether a cell holds text and no number."""
    try:
        float(str(value).replace(",", ""))
    except ValueError:
        return isinstance(value, str) and value not in ("", "-")
    return False


def _cell(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, (bool, str)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
