"""A comment line of extended xyz in pieces: keys and values as they are written."""

from __future__ import annotations

import re
from typing import NamedTuple

from quests_jax.base.checks import InputError

DECIDING = ("lattice", "properties", "pbc", "energy", "free_energy", "stress", "virial")
OPENING = {'"': '"', "'": "'", "{": "}", "[": "]"}
WORD = r"[^\s=\"'{}\[\]\\]+"
QUOTED = r"\"([^\"\\]*)\"|'([^'\\]*)'|\{([^}\\]*)\}|\[([^\]\\]*)\]"
PAIR = re.compile(rf"\s*({WORD})(?:\s*=\s*(?:{QUOTED}|({WORD})))?(?=\s|$)")
SWALLOWED = re.compile(rf"\b(?:{'|'.join(DECIDING)}|forces?)\s*=", re.IGNORECASE)


class Token(NamedTuple):
    """A piece of a comment line."""

    kind: str
    text: str = ""


BLANK, EQUALS = Token("blank"), Token("equals")


def split_pairs(line: str) -> list[tuple[str, str | None]]:
    """Keys and values of a comment line in order; a key that stands alone has the value None.

    Values may be quoted by "", '', {} or []; a backslash takes the next character as it is; blanks around
    the equals sign do not count. Where a key, `=` and a blank are followed by another `key=`, the first value
    is empty.
    """
    pairs = []
    place = 0
    line = line.strip()
    while place < len(line):
        match = PAIR.match(line, place)
        if match is None:
            return _split_with_care(line)
        last = match.lastindex or 1
        pairs.append((match[1], match[last] if last > 1 else None))
        place = match.end()
    return pairs


def _split_with_care(line: str) -> list[tuple[str, str | None]]:
    """`split_pairs` of a line with escapes, values of several pieces, or empty values."""
    tokens = _tokens(line)
    pairs: list[tuple[str, str | None]] = []
    place = 0
    while place < len(tokens):
        if tokens[place] in (BLANK, EQUALS):
            place += 1
            continue
        key, value, place = tokens[place].text, None, place + 1
        while (equals := _equals(tokens, place)) is not None:
            part, place = _value(tokens, equals + 1)
            value = part if value is None else f"{value}={part}"
        pairs.append((key, value))
    return pairs


def _equals(tokens: list[Token], place: int) -> int | None:
    """Where the equals sign is that a blank, or nothing, separates from this place."""
    place += tokens[place : place + 1] == [BLANK]
    return place if tokens[place : place + 1] == [EQUALS] else None


def _value(tokens: list[Token], place: int) -> tuple[str, int]:
    """The value that begins at a token, "" if there is none, and the place after it."""
    if tokens[place : place + 1] == [BLANK]:
        if len(tokens) == place + 1 or tokens[place + 2 : place + 3] == [EQUALS]:
            return "", place
        place += 1
    if place == len(tokens) or tokens[place] == EQUALS:
        return "", place
    return tokens[place].text, place + 1


def _tokens(line: str) -> list[Token]:
    """Words, blanks and equals signs of a line; quotes and escapes are resolved."""
    tokens: list[Token] = []
    closing, since, escaped = "", 0, False

    def extend(text: str) -> None:
        if not tokens or tokens[-1].kind != "word":
            tokens.append(Token("word", ""))
        tokens[-1] = Token("word", tokens[-1].text + text)

    for place, letter in enumerate(line):
        if escaped:
            extend(letter)
            escaped = False
        elif letter == "\\":
            escaped = True
        elif closing:
            closing = "" if letter == closing else closing
            extend(letter if closing else "")
        elif letter in OPENING:
            closing = OPENING[letter]
            since = place
            extend("")
        elif letter == "=":
            tokens.append(EQUALS)
        elif not letter.isspace():
            extend(letter)
        elif tokens[-1:] != [BLANK]:
            tokens.append(BLANK)
    if closing and SWALLOWED.search(line):
        raise InputError(f"the quote at column {since + 1} of the header is not closed; repair it.")
    return tokens
