"""The first problems of the campaign of random cover problems."""

from __future__ import annotations

import pytest
from campaigns.cover_fuzz import CHECKS, check_problem

pytestmark = pytest.mark.slow

FIRST = 60  # problems; the campaign itself makes 10,000


def test_no_bound_is_below_the_optimum_of_random_problems() -> None:
    made = [check_problem(0, number) for number in range(FIRST)]
    assert {name for name, _ in made} == set(CHECKS)
    assert [wrong for _, wrong in made if wrong] == []


@pytest.mark.parametrize("number", [2062])
def test_problems_that_went_wrong_once(number: int) -> None:
    """2062: costs over 16 powers of ten, whose sum differed by a rounding from the sum that was compared."""
    assert check_problem(0, number)[1] == []
