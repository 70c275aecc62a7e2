"""JSON larger than memory: the values at one depth, one after the other.

The depth is that of the first object with one of some names, which a pass over the beginning of a file finds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

PIECE = 1 << 20  # letters
LONGEST = 64 << 20  # letters of one value
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*("|\\?\Z)|[{}\[\]:,]', re.DOTALL)
DECODER = json.JSONDecoder()

Names = tuple[str, ...]


def way_to_first(stream: TextIO, wanted: Mapping[str, str]) -> Names | None:
    """Names that lead to the first object with a wanted name whose value begins as wanted; None if none does.

    >>> from io import StringIO
    >>> way_to_first(StringIO('{"a": [1, {"b": 2, "structure": {}}]}'), {"structure": "{"})
    ('a', '1')
    """
    levels: list[str | int] = []  # name or place at every level
    text = name = ""
    begins = None  # letter with which the next value must begin
    for token in _tokens(stream):
        if token in "{[":
            if token == begins:
                return tuple(map(str, levels[:-1]))
            levels.append(name if token == "{" else 0)
        elif token in "}]":
            del levels[-1:]
        elif token == "," and levels and isinstance(levels[-1], int):
            levels[-1] += 1
        elif token == ":" and levels:
            levels[-1] = name = text
            begins = wanted.get(name)
            continue
        elif token[0] == '"':
            text = json.loads(token, strict=False)
        begins = None
    return None


def _tokens(stream: TextIO) -> Iterator[str]:
    """Strings and signs of JSON; numbers and words are left out."""
    text = ""
    while piece := stream.read(PIECE):
        text += piece
        done = 0
        for match in TOKEN.finditer(text):
            if match[0][0] == '"' and match[1] != '"':
                done = match.start()
                break
            yield match[0]
            done = match.end()
        text = text[done:]
        if len(text) > LONGEST:
            raise ValueError("a string does not end")


def values_at(stream: TextIO, way: Names, alone: str) -> Iterator[tuple[Names, Any]]:
    """All values as deep as `way` leads, with the names that lead there.

    Where `way` goes by the name `alone`, what stands beside it is left out. Raises ValueError for what is not
    JSON.

    >>> from io import StringIO
    >>> list(values_at(StringIO('{"a": {"x": 1, "y": [2]}, "b": {}}'), ("a", "x"), "entries"))
    [(('a', 'x'), 1), (('a', 'y'), [2])]
    """
    text = _Text(stream)
    yield from _values(text, way, alone, ())
    if text.peek():
        raise ValueError("more follows after its end")


def _values(text: _Text, way: Names, alone: str, names: Names) -> Iterator[tuple[Names, Any]]:
    if len(names) == len(way):
        yield names, text.value()
        return
    begin = text.take("{[")
    end, place = {"{": "}", "[": "]"}[begin], 0
    only = alone if way[len(names)] == alone else None
    while text.peek() != end:
        if place:
            text.take(",")
        name = str(place) if begin == "[" else str(text.value())
        if begin == "{":
            text.take(":")
        if only not in (None, name):
            text.value()
        else:
            yield from _values(text, way, alone, (*names, name))
            only = None if only is None else ""
        place += 1
    if only == alone:
        raise ValueError(f"an object without {alone}")
    text.take(end)


class _Text:
    """A stream of which only what is looked at is in memory."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.text, self.at = stream, "", 0

    def peek(self) -> str:
        """The next letter that is not blank; "" at the end."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in " \t\n\r":
                    return self.text[self.at]
                self.at += 1
            if not self._read():
                return ""

    def take(self, signs: str) -> str:
        """The next letter, which must be one of these."""
        sign = self.peek()
        if not sign or sign not in signs:
            raise ValueError(f"expected {' or '.join(signs)}, got {sign or 'the end'}")
        self.at += 1
        return sign

    def value(self) -> Any:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except ValueError:
                if not self._read():
                    raise
                continue
            if end < len(self.text) or not self._read():  # a number at the end may go on
                self.at = end
                return value

    def _read(self) -> bool:
        """Read as much as is held, at least a piece; whether there was something left."""
        left = self.text[self.at :]
        if len(left) > LONGEST:
            raise ValueError("a value is longer than any structure")
        more = self.stream.read(max(PIECE, len(left)))
        self.text, self.at = left + more, 0
        return bool(more)
