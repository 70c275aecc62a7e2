"""Conditions on structures: what they mean, and what cannot be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quests_jax.base.checks import InputError
from quests_jax.base.filter_expressions import parse_condition

FACTS = {"config_type": "bulk_Si", "n_atoms": 64, "energy_per_atom": -5.25, "my key": "a b", "relaxed": True}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config_type=bulk_Si", True),
        ("config_type == bulk_Si", True),
        ("config_type=bulk*", True),
        ("config_type=slab,bulk?Si", True),
        ("config_type!=slab,liquid", True),
        ("config_type!=bulk*", False),
        ("n_atoms=64.0", True),
        ("n_atoms>=64 and n_atoms<65", True),
        ("n_atoms<64 or energy_per_atom<-5", True),
        ("not n_atoms<64", True),
        ("not (n_atoms=64 or config_type=x)", False),
        ("n_atoms=1 or n_atoms=64 and config_type=x", False),
        ('"my key"="a b"', True),
        ("'my key'=a*", True),
        ("stress", False),
        ("config_type", True),
        ("not stress", True),
        ("stress<1 or stress>=1", False),
        ("stress!=1", True),
        ("relaxed=true", True),
        ("relaxed=F", False),
        ("config_type<3", False),
    ],
)
def test_conditions_mean_what_they_say(text: str, expected: bool) -> None:
    assert parse_condition(text).holds(FACTS) is expected


@pytest.mark.parametrize(
    "text",
    ["", "and", "n_atoms<", "n_atoms<x", "(n_atoms=1", "n_atoms=1)", "=3", "a=1 b=2", "n_atoms<1,2", "a='x"],
)
def test_what_cannot_be_read_says_where(text: str) -> None:
    with pytest.raises(InputError, match="condition") as refused:
        parse_condition(text)
    assert "\n" not in str(refused.value)


@given(st.text(alphabet="ab=<>!(),'\" \n.1*and or not", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        condition = parse_condition(text)
    except InputError:
        return
    assert condition.holds({"a": 1.0, "b": "x"}) in (True, False)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_orders_are_those_of_numbers(value: float, limit: float) -> None:
    for sign, expected in {"<": value < limit, ">=": value >= limit, "=": value == limit}.items():
        assert parse_condition(f"x {sign} {limit!r}").holds({"x": value}) is expected
