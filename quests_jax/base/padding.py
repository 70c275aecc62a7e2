"""Sizes of arrays that are padded, so that few programs are compiled."""

from __future__ import annotations


def padded_size(n: int, *, smallest: int = 1) -> int:
    """Smallest size ≥ n among `smallest`·2^a·{1, 5/4, 3/2, 7/4}: at most 25 % padding, few programs."""
    if n <= smallest:
        return smallest
    unit = smallest
    while 2 * unit < n:
        unit *= 2
    quarters = -(-(n - unit) * 4 // unit)
    return unit + -(-unit * quarters // 4)
