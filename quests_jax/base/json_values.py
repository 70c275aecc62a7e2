"""Numbers as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: Python numbers and lists, None for what is not finite."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # arrays and scalars of NumPy and JAX
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rounded(value: Any, *, digits: int) -> Any:
    """`value`, of what JSON can hold, with this many significant digits of every float.

    >>> rounded({"x": [0.123456, 7]}, digits=3)
    {'x': [0.123, 7]}
    """
    if isinstance(value, dict):
        return {key: rounded(item, digits=digits) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item, digits=digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def as_columns(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rows with the same keys as one list for each key: JSON then holds every key once.

    >>> as_columns([{"rule": "msc", "error": {"in": 1.0}}, {"rule": "cover", "error": {"in": 2.0}}])
    {'rule': ['msc', 'cover'], 'error': {'in': [1.0, 2.0]}}
    """
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    return {
        name: as_columns(values) if isinstance(values[0], dict) else values
        for name, values in columns.items()
    }


def as_rows(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of which `as_columns` made columns.

    >>> as_rows({"rule": ["msc", "cover"], "error": {"in": [1.0, 2.0]}})
    [{'rule': 'msc', 'error': {'in': 1.0}}, {'rule': 'cover', 'error': {'in': 2.0}}]
    """
    whole = {name: as_rows(part) if isinstance(part, dict) else part for name, part in columns.items()}
    return [dict(zip(whole, values, strict=True)) for values in zip(*whole.values(), strict=True)]
