"""The way of positions, a size and a bandwidth through `quests-jax compress` does not become longer."""

from __future__ import annotations

import pytest
from hops import Hops, count


@pytest.fixture(scope="module")
def hops() -> Hops:
    return count()


@pytest.mark.filterwarnings("ignore::UserWarning")  # that the bandwidth does not fit
@pytest.mark.parametrize(
    ("what", "functions", "modules"), [("positions", 55, 22), ("size", 5, 3), ("bandwidth", 15, 10)]
)
def test_functions_and_modules_on_the_way_are_no_more(
    hops: Hops, what: str, functions: int, modules: int
) -> None:
    places = hops.visited[what]
    assert len(places) <= functions
    assert len({module for module, _ in places}) <= modules


@pytest.mark.parametrize(
    ("what", "times"), [("structures checked", 1), ("sizes resolved", 2), ("bandwidths checked", 2)]
)
def test_what_is_checked_at_the_edge_is_not_checked_again(hops: Hops, what: str, times: int) -> None:
    assert hops.checks[what] <= times  # a size and a bandwidth once more by the public function of the rule
