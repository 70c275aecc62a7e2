"""Numbers in words: counted things and shares."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "frame"), counted(0, "frame"), counted(1200, "frame")
    ('1 frame', '0 frames', '1,200 frames')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def agreeing(number: int, singular: str, plural: str) -> str:
    """The verb of a sentence whose subject is a number of things.

    >>> [f"{n} of 3 {agreeing(n, 'is', 'are')} known" for n in (0, 1, 2)]
    ['0 of 3 are known', '1 of 3 is known', '2 of 3 are known']
    """
    return singular if number == 1 else plural


def percent(share: float) -> str:
    """A share with as many digits as it needs; 100 % is all of it.

    >>> percent(0.8152), percent(0.002), percent(1.0), percent(0.99999)
    ('81.5 %', '0.2 %', '100 %', 'nearly 100 %')
    """
    text = f"{100 * share:.3g} %"
    return "nearly 100 %" if share < 1 and text == "100 %" else text
