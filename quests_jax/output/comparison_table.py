"""The table of `compare`, in the terminal and on the page of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WITH_SPREAD = ("overlap",)

COLUMNS = {  # of the table: heading and digits
    "size": ("size", 0),
    "environments": ("atoms", 0),
    "overlap": ("overlap", 3),
    "certified_ratio": ("ratio", 3),
    "entropy": ("H", 2),
    "diversity": ("D", 2),
    "max_delta_entropy": ("max δH", 1),
    "force_tail": ("tail", 2),
}


def table(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Heading and cells of a table that fits a terminal; the rows hold more."""

    def cell(row: dict[str, Any], name: str, digits: int) -> str:
        if row[name] is None:
            return "-"
        spread = (row["spread"] or {}).get(name) if name in WITH_SPREAD else None
        value = round(row[name], digits) + 0.0  # no -0.0
        return f"{value:,.{digits}f}" + ("" if spread is None else f"±{spread:.{digits}f}")

    shown = {name: head for name, head in COLUMNS.items() if any(row[name] is not None for row in rows)}
    cells = [
        [row["method"], *(cell(row, name, digits) for name, (_, digits) in shown.items())] for row in rows
    ]
    return ["method", *(heading for heading, _ in shown.values())], cells
