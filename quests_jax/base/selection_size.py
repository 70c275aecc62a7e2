"""How much to keep, as a fraction or as a number: said once, resolved once."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from quests_jax.base.checks import InputError, check_number


class Size(NamedTuple):
    """A fraction of what there is, or a number of things."""

    value: float
    is_fraction: bool

    def of(self, total: int, what: str = "structures") -> int:
        """How many of `total` things this is: a fraction is rounded half to even, and is at least one.

        Raises `InputError` if it is more than there are.
        """
        count = max(1, round(self.value * total)) if self.is_fraction else int(self.value)
        if count > total:
            raise InputError(f"size {count} is larger than the data set of {total} {what}; lower it.")
        return count

    def part_of(self, total: float) -> float:
        """How much of a total cost this is; a number stands for itself, and may be more than there is."""
        return self.value * total if self.is_fraction else self.value


def as_size(size: Any) -> Size:
    """Read a size that a person wrote in Python.

    An int, or a whole float above 1, is a number; a float in (0, 1] is a fraction: 1 keeps one structure, 1.0
    keeps all.

    Raises:
      InputError: anything else.

    >>> as_size(20) == as_size(20.0), as_size(1.0)
    (True, Size(value=1.0, is_fraction=True))
    """
    if isinstance(size, Size):
        return size
    number = check_number("size", size)
    if isinstance(size, bool) or not math.isfinite(number) or number <= 0:
        raise InputError(f"size must be a fraction in (0, 1] or a number of structures, got {size}.")
    if isinstance(size, int) or (hasattr(size, "dtype") and size.dtype.kind in "iu"):
        return Size(number, is_fraction=False)
    if number > 1 and number != int(number):
        raise InputError(
            f"size as a fraction must be in (0, 1], got {size}; give a whole number for a count."
        )
    return Size(number, is_fraction=number <= 1)


def parse_size(text: str) -> Size:
    """Read a size that a person typed: 0.1 and 10% are fractions, 100 is a number, 1.0 is everything.

    Raises:
      InputError: anything else.

    >>> parse_size("10%") == parse_size("0.1"), parse_size("1").of(50), parse_size("1.0").of(50)
    (True, 1, 50)
    """
    percent = text.strip().endswith("%")
    digits = text.strip().removesuffix("%")
    try:
        number: Any = int(digits)
    except ValueError:
        number = check_number("size", digits)
    if not percent:
        return as_size(number)
    if not 0 < number <= 100:
        raise InputError(f"size in percent must be above 0 and at most 100, got {text}.")
    return Size(number / 100, is_fraction=True)


def check_size(size: Any, total: int) -> int:
    """Turn a size, as `as_size` reads it, into a number of structures between 1 and `total`.

    Raises:
      InputError: no size, or more than `total`.
    """
    if type(size) is int and 1 <= size <= total:
        return size
    return as_size(size).of(total)
