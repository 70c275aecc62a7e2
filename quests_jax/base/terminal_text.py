"""Text for terminals of any encoding: what a terminal cannot show is spelled in ASCII."""

from __future__ import annotations

import codecs
import sys
import unicodedata
from typing import Any, TextIO

SPELLED = "quests_jax.spelled"  # name of the error handler
ASCII = {
    "Å": "A",
    "⁻": "^-",
    "²": "^2",
    "³": "^3",
    "δ": "d",
    "Δ": "D",
    "σ": "sigma",
    "±": "+-",
    "−": "-",
    "–": "-",
    "·": "*",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "∞": "inf",
    "→": "->",
    "…": "...",
}


def spell_on_terminals() -> None:
    """Make stdout and stderr spell what their encoding lacks, and never fail for it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=SPELLED)  # pyright: ignore[reportAttributeAccessIssue]


def spelled(text: str, stream: TextIO) -> str:
    """The text as a stream can show it."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    return text.encode(encoding, SPELLED).decode(encoding)


def _spell(error: Any) -> tuple[str, int]:
    letters = error.object[error.start : error.end]
    return "".join(map(_letter, letters)), error.end


def _letter(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte of a file name that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return (
        ASCII.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"
    )


codecs.register_error(SPELLED, _spell)
