"""Conditions on named values, as a person types them: `config_type=bulk* and n_atoms<100`.

    condition  = clause ("or" clause)*          clause = factor ("and" factor)*
    factor     = "not" factor | "(" condition ")" | comparison
    comparison = NAME | NAME OPERATOR VALUE ("," VALUE)*

A name alone asks whether there is such a value. Numbers are compared as numbers, words by patterns with * and
?; several values after = mean any of them, after != none of them. Nothing is ever evaluated as Python.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from quests_jax.base.checks import InputError

Facts = Mapping[str, Any]
Test = Callable[[Facts], bool]

ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
EQUAL = ("=", "==")
TOKEN = re.compile(
    r"""\s*(?:(?P<sign>==|!=|<=|>=|[=<>(),])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s=!<>(),"']+))"""
)


class Condition(NamedTuple):
    """A condition that has been read."""

    text: str
    holds: Test
    names: frozenset[str]  # that it asks for


class Token(NamedTuple):
    """A sign, or a word that may have stood in quotes."""

    text: str
    sign: bool = False
    quoted: bool = False

    def is_word(self, *words: str) -> bool:
        """Whether this is one of the words that join conditions."""
        return not self.sign and not self.quoted and self.text.lower() in words


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises:
      InputError: it cannot be read; the message says where.

    >>> condition = parse_condition("config_type=bulk*,slab and not n_atoms>100")
    >>> [condition.holds({"config_type": name, "n_atoms": 64}) for name in ("bulk_Si", "slab", "liquid")]
    [True, True, False]
    """
    reader = _Reader(text, _tokens(text))
    holds = reader.condition()
    if reader.rest:
        reader.fail(f"cannot read on at {reader.rest[0].text!r}")
    return Condition(text, holds, frozenset(reader.names))


def _tokens(text: str) -> list[Token]:
    tokens = []
    place = 0
    while place < len(text.rstrip()):
        match = TOKEN.match(text, place)
        if match is None:
            raise InputError(
                f"condition {text!r}: cannot read {text[place:].strip()!r}; quote words with signs."
            )
        place = match.end()
        if match["sign"]:
            tokens.append(Token(match["sign"], sign=True))
        elif match["word"] is not None:
            tokens.append(Token(match["word"]))
        else:
            tokens.append(
                Token(match["double"] if match["double"] is not None else match["single"], quoted=True)
            )
    return tokens


class _Reader:
    """Reads a condition from left to right."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text
        self.rest = tokens
        self.names: set[str] = set()

    def condition(self) -> Test:
        tests = [self.clause()]
        while self._joined_by("or"):
            tests.append(self.clause())
        return lambda facts: any(test(facts) for test in tests)

    def clause(self) -> Test:
        tests = [self.factor()]
        while self._joined_by("and"):
            tests.append(self.factor())
        return lambda facts: all(test(facts) for test in tests)

    def factor(self) -> Test:
        token = self._next("a condition")
        if token.is_word("not"):
            test = self.factor()
            return lambda facts: not test(facts)
        if token == Token("(", sign=True):
            test = self.condition()
            if self._next("a closing parenthesis") != Token(")", sign=True):
                self.fail("a parenthesis is not closed")
            return test
        if token.sign or token.is_word("and", "or"):
            self.fail(f"expected a name, found {token.text!r}")
        return self.comparison(token.text)

    def comparison(self, name: str) -> Test:
        self.names.add(name)
        if not self.rest or not self.rest[0].sign or self.rest[0].text in ("(", ")", ","):
            return lambda facts: facts.get(name) is not None
        sign = self.rest.pop(0).text
        values = [self._value(sign)]
        while self.rest and self.rest[0] == Token(",", sign=True):
            self.rest.pop(0)
            values.append(self._value(sign))
        if sign in ORDERS:
            return self._ordered(name, sign, values)
        if sign in EQUAL:
            return lambda facts: any(_equal(facts.get(name), value) for value in values)
        return lambda facts: not any(_equal(facts.get(name), value) for value in values)

    def fail(self, words: str) -> None:
        raise InputError(
            f"condition {self.text!r}: {words}; write it like 'config_type=bulk and n_atoms<100'."
        )

    def _ordered(self, name: str, sign: str, values: list[str]) -> Test:
        limit = as_number(values[0])
        if limit is None or len(values) > 1:
            self.fail(f"expected one number after {sign}")
        compare = ORDERS[sign]

        def test(facts: Facts) -> bool:
            number = as_number(facts.get(name))
            return number is not None and limit is not None and compare(number, limit)

        return test

    def _value(self, sign: str) -> str:
        token = self._next(f"a value after {sign}")
        if token.sign:
            self.fail(f"expected a value after {sign}, found {token.text!r}")
        return token.text

    def _next(self, expected: str) -> Token:
        if not self.rest:
            self.fail(f"expected {expected} at the end")
        return self.rest.pop(0)

    def _joined_by(self, word: str) -> bool:
        if not self.rest or not self.rest[0].is_word(word):
            return False
        self.rest.pop(0)
        return True


def as_number(value: Any) -> float | None:
    """A value as a number; None if it is none."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _equal(value: Any, wanted: str) -> bool:
    """Equality of numbers, or of words and a pattern with * and ?."""
    if value is None:
        return False
    number, other = as_number(value), as_number(wanted)
    if number is not None and other is not None:
        return number == other
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return str(bool(value)).lower() == wanted.lower() or str(bool(value))[0].lower() == wanted.lower()
    return fnmatchcase(str(value), wanted)
