"""`compress`: every method of the registry obeys the same laws."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from quests_jax.atoms.describe import environments
from quests_jax.base.checks import InputError
from quests_jax.base.json_values import plain
from quests_jax.cover.rules.registry import RULES
from quests_jax.information import delta_entropy, diversity, entropy, partwise_sums
from quests_jax.studies import kept_information
from quests_jax.studies.compression import compress
from quests_jax.studies.kept_information import entropy_and_diversity, measure

WIDE = 0.1  # a bandwidth at which these few environments cover one another in part


def rattled(amount: float, *, seed: int) -> Atoms:
    structure = bulk("Cu", cubic=True)
    structure.rattle(amount, seed=seed)
    return structure


STRUCTURES = [rattled(0.05 * (1 + number % 3), seed=number) for number in range(12)]
ENVS = environments(STRUCTURES)


@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize(("size", "expected"), [(0.25, 3), (5, 5), (1, 1), (1.0, 12)])
def test_size_is_kept_and_structures_are_in_order_of_choice(method: str, size: float, expected: int) -> None:
    result = compress(STRUCTURES, size=size, method=method)
    selected = result.summary["selected"]
    assert len(set(selected)) == expected == result.summary["size"]
    assert all(atoms is STRUCTURES[i] for atoms, i in zip(result.structures, selected, strict=True))


@pytest.mark.parametrize("method", [name for name, rule in RULES.items() if rule.nested])
def test_smaller_choices_are_prefixes_of_larger_ones(method: str) -> None:
    small, large = (compress(ENVS, size=size, method=method, bandwidth=WIDE) for size in (3, 7))
    assert large.summary["selected"][:3] == small.summary["selected"]


@pytest.mark.parametrize("method", RULES)
def test_summary_agrees_with_the_measures_it_names(method: str) -> None:
    summary = compress(ENVS, size=4, method=method, bandwidth=WIDE).summary
    x = np.asarray(ENVS.x)
    chosen = x[np.isin(ENVS.structure_id, summary["selected"])]
    dH = np.asarray(delta_entropy(x, chosen, bandwidth=WIDE))
    assert summary["overlap"] == np.mean(dH < summary["tolerance"])
    assert summary["max_delta_entropy"] == pytest.approx(dH.max())
    assert summary["entropy"] == pytest.approx(float(entropy(chosen, bandwidth=WIDE)))
    assert summary["entropy_full"] == pytest.approx(float(entropy(x, bandwidth=WIDE)))
    assert summary["selected_environments"] == len(chosen)
    json.dumps(summary, allow_nan=False)


def test_measures_of_many_environments_come_in_parts(monkeypatch) -> None:
    monkeypatch.setattr(kept_information, "EXACT", 20)
    monkeypatch.setattr(kept_information, "SAMPLE", 20)
    whole = measure(ENVS, np.array([1, 5]), None, bandwidth=WIDE)
    monkeypatch.setattr(partwise_sums, "FEWEST", 32)
    monkeypatch.setattr(partwise_sums, "NUMBERS", 1)
    assert measure(ENVS, np.array([1, 5]), None, bandwidth=WIDE) == pytest.approx(whole, nan_ok=True)


@pytest.mark.parametrize("bandwidth", [1e-4, 0.015, 1.0])
def test_entropy_and_diversity_agree_with_the_separate_measures(bandwidth: float) -> None:
    x = np.asarray(ENVS.x)
    expected = [float(of(x, bandwidth=bandwidth)) for of in (entropy, diversity)]
    np.testing.assert_allclose(entropy_and_diversity(x, bandwidth=bandwidth), expected, atol=1e-12)


@pytest.mark.parametrize("method", RULES)
def test_environments_stand_for_structures(method: str) -> None:
    from_structures, from_environments = (
        compress(data, size=3, method=method) for data in (STRUCTURES, ENVS)
    )
    assert from_structures.summary["selected"] == from_environments.summary["selected"]
    assert from_environments.structures == []


def test_elements_are_told_apart_by_the_word_of_environments() -> None:
    symbols = ["Cu", "Au", "Cu", "Cu"]
    structures = [Atoms(symbols, atoms.positions, cell=atoms.cell, pbc=True) for atoms in STRUCTURES]
    by_word = compress(structures, elements="center", size=3, method="cover", certify="none")
    envs = environments(structures, elements="center")
    by_envs = compress(structures, environments=envs, size=3, method="cover", certify="none")
    assert by_word.summary["entropy_full"] == by_envs.summary["entropy_full"]
    assert by_word.structures == by_envs.structures


@pytest.mark.parametrize("method", RULES)
def test_everything_is_covered_by_a_reference_that_holds_everything(method: str) -> None:
    summary = compress(STRUCTURES, size=1, method=method, reference=STRUCTURES).summary
    assert summary["overlap"] == 1.0
    assert summary["reference_environments"] == summary["n_environments"]


@pytest.mark.parametrize("method", [name for name, rule in RULES.items() if rule.complements])
def test_what_the_reference_holds_is_not_chosen_first(method: str) -> None:
    novel = rattled(0.4, seed=99)
    summary = compress([*STRUCTURES[:5], novel], size=1, method=method, reference=STRUCTURES[:5]).summary
    assert summary["selected"] == [5]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "method 'magic' is not known; choose one of"),
        ({"size": 0}, "size must be"),
        ({"size": 13}, "size 13 is larger"),
        ({"size": math.nan}, "size must be"),
        ({"bandwidth": -1.0}, "bandwidth must be"),
        ({"cutoff": 0.0}, "cutoff must be"),
        ({"k": 0}, "k must be"),
    ],
)
def test_bad_options_are_refused(options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        compress(STRUCTURES, **options)


@given(
    st.recursive(
        st.floats() | st.integers() | st.booleans() | st.none() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(st.floats()).map(np.asarray)
        ),
        max_leaves=10,
    )
)
def test_plain_makes_strict_json_and_changes_nothing_else(value: object) -> None:
    once = plain(value)
    assert plain(once) == once == json.loads(json.dumps(once, allow_nan=False))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_plain_keeps_finite_numbers(number: float) -> None:
    assert plain([np.float64(number), np.asarray([number])]) == [number, [number]]
