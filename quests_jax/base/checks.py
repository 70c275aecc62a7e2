"""Checks on what a user hands in: each raises one line that says what is wrong, where and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class InputError(ValueError):
    """Bad input: a one-line message naming what is wrong, where, and what to do.

    >>> import quests_jax as qj
    >>> try:
    ...     qj.entropy([[0.0], [float("nan")]])
    ... except qj.InputError as error:
    ...     print(error)
    x: environment 1 holds a value that is not finite; remove or repair it.
    """


class FlawedStructure(InputError):
    """One structure of several is flawed; whoever knows which file it is from says so."""

    def __init__(self, number: int, flaw: str) -> None:
        super().__init__(f"structure {number}{flaw}")
        self.number = number
        self.flaw = flaw


def check_positive(name: str, value: Any) -> float:
    """Return `value` as a float; raise `InputError` unless it is a finite number above zero."""
    number = check_number(name, value)
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{name} must be a positive number, got {value}.")
    return number


def check_count(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` as an int; raise `InputError` unless it is a whole number of at least `minimum`."""
    number = check_number(name, value)
    if not math.isfinite(number) or number != int(number) or number < minimum:
        raise InputError(f"{name} must be a whole number of at least {minimum}, got {value}.")
    return int(number)


def check_matrix(name: str, x: Any, n_features: int | None = None) -> None:
    """Raise `InputError` unless `x` has shape [n, d] (with d = `n_features` where given)."""
    shape = getattr(x, "shape", None)
    if shape is None or len(shape) != 2:
        raise InputError(f"{name}: expected an array of shape [n, d], got shape {shape}.")
    if n_features is not None and shape[1] != n_features:
        raise InputError(f"{name}: expected {n_features} features per environment, got {shape[1]}.")


def check_number(name: str, value: Any) -> float:
    """Return `value` as a float; raise `InputError` unless it is a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number, got {value!r}.") from None


@contextmanager
def located(where: object) -> Iterator[None]:
    """Put `where` (a file, say) in front of the message of any `InputError` raised inside the block."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
