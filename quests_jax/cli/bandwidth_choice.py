"""The bandwidths of a command: one for all environments, and those of elements that have one of their own."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from quests_jax.base.checks import check_positive
from quests_jax.base.environments import Environments
from quests_jax.studies.bandwidths import bandwidths_by_element

AUTO = "auto"  # a bandwidth that the data decide
SHOWN = 8  # elements in a caption; JSON holds all

Own = dict[int, float | None]  # in Å⁻¹ by atomic number, of elements that were seen; None: the common one


@dataclasses.dataclass(frozen=True)
class ByElement:
    """Bandwidths in Å⁻¹ as they are typed: 0.02,O=0.03 is 0.03 for oxygen and 0.02 for all others.

    >>> str(ByElement(0.02, {"O": 0.03}))
    '0.02,O=0.03'
    """

    others: float
    own: dict[str, float]

    def __str__(self) -> str:
        """As it can be typed again."""
        return ",".join([f"{self.others:g}", *(f"{symbol}={value:g}" for symbol, value in self.own.items())])


class Bandwidth(click.ParamType):
    """A number, auto, or a number for all elements but those that follow with their own."""

    name = "FLOAT|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str | ByElement:
        """What was typed."""
        if value == AUTO or not isinstance(value, str) or "=" not in value:
            return AUTO if value == AUTO else click.FLOAT(value, param, ctx)
        first, *others = value.split(",")
        own: dict[str, float] = {}
        for word in others:
            symbol, _, number = word.strip().partition("=")
            if symbol not in atomic_numbers or symbol == "X" or symbol in own:
                self.fail(f"{word!r} is not an element and its bandwidth, each once, as O=0.03.", param, ctx)
            own[symbol] = click.FLOAT(number, param, ctx)
        if "=" in first:
            self.fail("the bandwidth of all other elements comes first, as 0.02,O=0.03.", param, ctx)
        return ByElement(click.FLOAT(first, param, ctx), own)


def typed_own(value: ByElement) -> Own:
    """What was typed by atomic number; raises `InputError` for a bandwidth that is not positive."""
    return {
        atomic_numbers[symbol]: check_positive(f"bandwidth of {symbol}", number)
        for symbol, number in value.own.items()
    }


def settle_elements(envs: Environments, own: Own, *, auto: bool) -> None:
    """Give elements that are seen for the first time the bandwidth that fits them, or else the common one.

    Once seen, an element keeps its bandwidth, so that sets that are compared are on one scale.
    """
    if envs.elements is None:
        return
    Z = np.asarray(envs.elements)
    present = np.unique(Z).tolist()
    new = [element for element in present if element not in own]
    found: dict[int, float] = {}
    if auto and new and len(present) > 1:
        found = bandwidths_by_element(envs.take(np.isin(Z, new)))
    own.update({element: rounded(found[element]) if element in found else None for element in new})


def apart_from_common(own: Own) -> dict[int, float]:
    """By atomic number, the bandwidths of elements that have one of their own."""
    return {Z: value for Z, value in own.items() if value is not None}


def by_element(own: Own, common: float | str | None) -> dict[str, float] | None:
    """The bandwidth of every element by its symbol; None where all have the common one."""
    if not isinstance(common, float) or not apart_from_common(own):
        return None
    return {chemical_symbols[Z]: common if value is None else value for Z, value in sorted(own.items())}


def own_in_words(each: dict[str, float] | None) -> str:
    """The bandwidths of elements as a part of a caption."""
    if not each:
        return ""
    words = [f"{symbol} {value:g}" for symbol, value in each.items()]
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return f" (by element: {', '.join(words[:SHOWN])}{more})"


def rounded(bandwidth: float) -> float:
    """A bandwidth that was found, with the digits that it is told with, so that it can be typed again."""
    return float(f"{bandwidth:.3g}")
