"""Numbers as JSON can hold them."""

from __future__ import annotations

import math
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
