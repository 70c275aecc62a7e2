"""`compare`: what stands in its rows, and what it advises."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import STRUCTURES, Call, call, json_of

from quests_jax.atoms.describe import environments
from quests_jax.cli.choice_sentences import about_rules
from quests_jax.studies.comparison import compare_environments

pytestmark = pytest.mark.slow

__all__ = ["call"]  # the fixture

ENVS = environments(STRUCTURES)
RULES = ("cover", "random", "k-means")


def test_chance_is_a_mean_with_a_spread() -> None:
    rows = compare_environments(ENVS, sizes=(2,), methods=RULES, seeds=5, bounds=False)
    chance = next(row for row in rows if row["method"] == "random")
    each = [
        compare_environments(ENVS, sizes=(2,), methods=("random",), bounds=False)[0]["overlap"],
        chance["overlap"],
    ]
    assert chance["repeats"] == 5
    assert chance["spread"]["overlap"] > 0
    assert abs(each[0] - each[1]) <= 4 * chance["spread"]["overlap"]
    assert all(row["spread"] is None for row in rows if row["method"] != "random")


def test_at_equal_atoms_no_rule_has_more_than_asked() -> None:
    rows = compare_environments(ENVS, sizes=(0.5,), methods=RULES, equal="atoms")
    assert {row["method"] for row in rows} == {"cover", "random"}
    for row in rows:
        assert row["environments"] <= row["asked"] == 16
        assert row["coverage"] <= row["upper_bound"] + 1e-9


def test_advice_names_the_best_rule_and_the_command(call: Call) -> None:
    outcome = call("compare", "data.xyz", "-s", "2", "-m", "cover", "-m", "random")
    text = " ".join(outcome.out.split())
    assert "At 2 structures, cover covers most (" in text
    assert "quests-jax compress data.xyz -s 2 -m cover" in text
    outcome = call("compare", "data.xyz", "-s", "50%", "--equal", "atoms", "-m", "cover", "-m", "k-means")
    assert "Left out, as they cannot keep a number of atoms: k-means." in " ".join(outcome.out.split())


def test_one_row_gets_no_advice() -> None:
    rows = compare_environments(ENVS, sizes=(2,), methods=("cover",), bounds=False)
    assert about_rules(rows, name="data.xyz", equal="structures") == []


def test_every_rule_that_is_compared_can_be_chosen_with(call: Call) -> None:
    found = json_of(call("compare", "data.xyz", "-s", "2", "--json"))
    for method in {row["method"] for row in found["rows"]}:
        chosen = json_of(call("compress", "data.xyz", "-s", "2", "-m", method, "--json"))
        assert len(chosen["selected"]) == 2


@pytest.mark.parametrize("equal", ["structures", "atoms"])
def test_fractions_are_of_what_is_counted(equal: str) -> None:
    rows = compare_environments(ENVS, sizes=(0.25, 0.5), methods=("cover",), equal=equal, bounds=False)
    np.testing.assert_allclose([row["fraction"] for row in rows], [0.25, 0.5])


def test_where_chance_does_as_well_nobody_is_sent_to_a_rule_without_a_word() -> None:
    row = {"asked": 5, "coverage": 0.5, "environments": 9, "max_delta_entropy": 1.0, "force_tail": None}
    random = {"method": "random", "overlap": 0.2, "spread": {"overlap": 0.1}}
    rules = [
        {"method": name, "overlap": share, "spread": None} for name, share in (("msc", 0.1), ("cover", 0.3))
    ]
    near, far = (
        " ".join(about_rules([row | one for one in (random, *some)], name="data.xyz", equal="structures"))
        for some in (rules, [rules[0], rules[1] | {"overlap": 0.9}])
    )
    assert "No rule is better than chance" in near
    assert "Not better than chance in overlap (random + 2 deviations): msc." in far
