"""Every baseline obeys the laws of a rule of choice, and each does what its name says."""

from __future__ import annotations

import itertools
import json
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from cover.toy_covers import BANDWIDTH, COUNTS, toy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from quests_jax.atoms.describe import environments
from quests_jax.atoms.reading import read
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, make_environments
from quests_jax.cover import atom_budget, cost_budget
from quests_jax.cover.rules import baselines, clusters
from quests_jax.cover.rules.registry import RULES as RULES_BY_NAME
from quests_jax.cover.rules.structure_means import structure_entropies
from quests_jax.information import entropy

LABELS = list("aabbbbcc")
RULES = {
    "random": baselines.random_choice,
    "stratified": partial(baselines.stratified, labels=LABELS),
    "fps": baselines.farthest_point,
    "mean-fps": baselines.mean_farthest_point,
    "k-means": clusters.k_means,
    "k-means-H": clusters.k_means_entropy,
    "direct": clusters.direct,
    "facility": baselines.mean_facility_location,
}
NESTED = ("random", "stratified", "fps", "mean-fps", "facility")
KEYED = ("random", "stratified", "mean-fps", "k-means", "k-means-H", "direct")
PULLED = ("fps", "mean-fps", "facility")  # by a reference


def blobs(*sizes: int) -> tuple[Environments, np.ndarray]:
    """Structures of two environments around far apart centers, and the center of each structure."""
    center = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(7)
    x = 10.0 * np.repeat(center, 2)[:, None] + rng.normal(size=(2 * len(center), 2))
    return make_environments(x, np.repeat(np.arange(len(center)), 2)), center


# ---- Laws of every rule ----


@pytest.mark.parametrize("name", RULES)
@given(seed=st.integers(0, 1000), size=st.integers(1, 8))
def test_exactly_the_size_asked_for_and_no_structure_twice(name: str, seed: int, size: int) -> None:
    selection = RULES[name](toy(seed), size=size, bandwidth=BANDWIDTH)
    assert len(set(selection.selected)) == len(selection.selected) == len(selection.gains) == size
    assert set(selection.selected) <= set(range(8))
    assert selection.method == name


@pytest.mark.parametrize("name", RULES)
def test_copies_and_empty_structures_are_no_obstacle(name: str) -> None:
    copies = make_environments(np.ones((7, 2)), np.arange(7), 8)
    for size in (1, 4, 8):
        assert len(set(RULES[name](copies, size=size, bandwidth=BANDWIDTH).selected)) == size


@pytest.mark.parametrize("name", RULES)
def test_the_same_answer_twice(name: str) -> None:
    first, second = (RULES[name](toy(3), size=5, bandwidth=BANDWIDTH).selected for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", NESTED)
def test_smaller_choices_are_prefixes(name: str) -> None:
    small, large = (RULES[name](toy(4), size=size, bandwidth=BANDWIDTH).selected for size in (3, 7))
    np.testing.assert_array_equal(small, large[:3])


@pytest.mark.parametrize("name", KEYED[:-1])  # direct draws only where structures coincide
def test_keys_make_a_difference(name: str) -> None:
    keys = jax.random.split(jax.random.key(1), 8)
    answers = {tuple(RULES[name](toy(5), size=3, bandwidth=BANDWIDTH, key=key).selected) for key in keys}
    assert len(answers) > 1


@pytest.mark.parametrize("name", PULLED)
def test_a_reference_counts_as_chosen(name: str) -> None:
    envs, center = blobs(3, 3)
    known = np.asarray(envs.x)[:4]  # of the first center
    selection = RULES[name](envs, size=1, bandwidth=BANDWIDTH, reference=known)
    assert center[selection.selected[0]] == 1


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("size", [0, 9, 1.5])
def test_bad_sizes_are_refused(name: str, size: float) -> None:
    with pytest.raises(InputError, match="size"):
        RULES[name](toy(0), size=size, bandwidth=BANDWIDTH)


BUDGETED = [name for name, rule in RULES_BY_NAME.items() if rule.budgeted]


@pytest.mark.parametrize("name", BUDGETED)
@given(seed=st.integers(0, 1000), limit=st.floats(4.0, 20.0))
@settings(max_examples=8)
def test_a_budget_of_costs_is_kept_and_used(name: str, seed: int, limit: float) -> None:
    cost = np.random.default_rng(seed).uniform(0.5, 4, 8)
    choose = RULES_BY_NAME[name].choose
    selected = choose(toy(seed), budget=cost_budget(cost, limit), bandwidth=BANDWIDTH).selected
    left = limit - cost[selected].sum()
    assert len(set(selected)) == len(selected) > 0
    assert left > -1e-6
    if name not in ("pareto", "cover", "diversity", "balanced", "relaxed"):  # these stop, or exchange
        assert not np.any(np.delete(cost, selected) < left)


@pytest.mark.parametrize("name", sorted(set(BUDGETED) - {"relaxed", "pareto"}))
def test_a_budget_in_which_all_cost_alike_is_a_size(name: str) -> None:
    choose = RULES_BY_NAME[name].choose
    by_size, by_cost = (
        choose(toy(3), bandwidth=BANDWIDTH, **limit).selected
        for limit in ({"size": 4}, {"budget": cost_budget(np.full(8, 2.5), 10.0)})
    )
    np.testing.assert_array_equal(by_size[: len(by_cost)], by_cost)


@pytest.mark.parametrize("name", BUDGETED)
def test_a_budget_that_buys_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="pays for no structure, the cheapest costs 3"):
        RULES_BY_NAME[name].choose(toy(3), budget=cost_budget(np.full(8, 3.0), 2.0), bandwidth=BANDWIDTH)


def test_a_budget_of_atoms_is_a_share_or_a_number_of_environments() -> None:
    assert float(atom_budget(toy(0), 0.5).limit) == float(atom_budget(toy(0), 10).limit) == 10
    np.testing.assert_array_equal(atom_budget(toy(0), 10).cost, COUNTS)
    with pytest.raises(InputError, match="give either size or budget"):
        baselines.random_choice(toy(0), size=2, budget=atom_budget(toy(0), 10))


# ---- What each one is ----


@pytest.mark.slow
@given(seed=st.integers(0, 1000))
def test_farthest_point_is_a_loop_over_mean_distances(seed: int) -> None:
    envs = toy(seed)
    blocks = np.split(np.asarray(envs.x), np.cumsum(envs.counts)[:-1])
    distance = np.array([[cdist(a, b).mean() for b in blocks] for a in blocks])
    expected = [int(np.argmax([float(entropy(block, bandwidth=BANDWIDTH)) for block in blocks]))]
    while len(expected) < 5:
        nearest = distance[expected].min(axis=0)
        nearest[expected] = -1.0
        expected.append(int(np.argmax(nearest)))
    found = baselines.farthest_point(envs, size=5, bandwidth=BANDWIDTH)
    assert list(found.selected) == expected
    np.testing.assert_allclose(found.gains[1], distance[expected[0], expected[1]])


@pytest.mark.parametrize("name", ["mlearn/Mo_train", "carbon_GAP20/Nanotubes", "mol_3BPA/train_300K"])
def test_farthest_point_picks_as_quests_does(name: str, shared_data: Path, shared_reference: Path) -> None:
    stored = json.loads((shared_reference / "quests_reference.json").read_text())["files"][name]
    expected = stored["compression"]["fps"]["indices_0.10"]
    envs = environments(read(shared_data / f"{name}.xyz.gz"))
    assert list(baselines.farthest_point(envs, size=len(expected)).selected) == expected


def test_structures_larger_than_a_block_are_seen_whole() -> None:
    rng = np.random.default_rng(0)
    envs = make_environments(rng.normal(size=(300, 3)), np.repeat([0, 1, 2], [150, 140, 10]))
    blocks = np.split(np.asarray(envs.x), [150, 290])
    found = baselines.farthest_point(envs, size=2, bandwidth=BANDWIDTH)
    np.testing.assert_allclose(found.gains[1], cdist(*(blocks[s] for s in found.selected)).mean())


@pytest.mark.parametrize("name", ["fps", "mean-fps", "k-means", "k-means-H", "direct", "facility"])
def test_each_far_apart_group_gives_one(name: str) -> None:
    envs, center = blobs(5, 2, 9)
    assert sorted(center[RULES[name](envs, size=3, bandwidth=BANDWIDTH).selected]) == [0, 1, 2]


def test_k_means_by_entropy_takes_the_largest_of_its_cluster() -> None:
    envs, center = blobs(4, 6)
    own = structure_entropies(envs, bandwidth=1.0)
    for s in clusters.k_means_entropy(envs, size=2, bandwidth=1.0).selected:
        assert own[s] == own[center == center[s]].max()


@pytest.mark.slow
@given(seed=st.integers(0, 1000))
def test_entropies_of_structures_are_those_of_their_environments(seed: int) -> None:
    envs = toy(seed)
    blocks = np.split(np.asarray(envs.x), np.cumsum(envs.counts)[:-1])
    expected = [float(entropy(block, bandwidth=BANDWIDTH)) for block in blocks]
    np.testing.assert_allclose(structure_entropies(envs, bandwidth=BANDWIDTH), expected, atol=1e-12)


def test_direct_takes_what_is_nearest_to_the_center_of_its_cluster() -> None:
    x = np.array([[0.0], [1.0], [2.1], [50.0], [51.0], [52.1]])
    assert sorted(clusters.direct(make_environments(x, np.arange(6)), size=2).selected) == [1, 4]


@given(seed=st.integers(0, 1000))
def test_facility_location_is_within_its_bound_of_the_best(seed: int) -> None:
    envs = toy(seed)
    means = np.array(
        [block.mean(axis=0) for block in np.split(np.asarray(envs.x), np.cumsum(envs.counts)[:-1])]
    )
    distance = cdist(means, means)
    radius = 2 * np.linalg.norm(means - means.mean(axis=0), axis=1).max()

    def value(chosen) -> float:
        return float((radius - distance[list(chosen)].min(axis=0)).sum())

    found = baselines.mean_facility_location(envs, size=3)
    assert value(found.selected) == pytest.approx(found.gains.sum())
    assert np.all(np.diff(found.gains) <= 1e-12)
    assert value(found.selected) >= (1 - 1 / np.e) * max(map(value, itertools.combinations(range(8), 3)))


def test_strata_are_kept_in_proportion() -> None:
    labels = ["a"] * 50 + ["b"] * 30 + ["c"] * 20
    envs = make_environments(np.zeros((100, 2)), np.arange(100))
    for size in (10, 33, 80):
        chosen = baselines.stratified(envs, size=size, labels=labels).selected
        counts = [sum(labels[s] == label for s in chosen) for label in "abc"]
        np.testing.assert_allclose(counts, [0.5 * size, 0.3 * size, 0.2 * size], atol=1.01)


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="labels: expected 8, one per structure, got 2"):
        baselines.stratified(toy(0), size=2, labels=["a", "b"])
