"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "frame"), counted(0, "frame"), counted(1200, "frame")
    ('1 frame', '0 frames', '1,200 frames')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
