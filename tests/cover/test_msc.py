from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from toy_covers import BANDWIDTH, COUNTS, toy

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, make_environments
from quests_jax.cover import msc
from quests_jax.cover.rules import msc as novelty
from quests_jax.cover.rules.structure_tiles import masses_within
from quests_jax.information import entropy

S = len(COUNTS)
seeds = st.integers(0, 10_000)


def log_kernels(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return -np.sum((y[:, None] - x[None]) ** 2, axis=-1) / (2 * BANDWIDTH**2)


def plain_msc(
    envs: Environments, size: int, reference: np.ndarray | None = None
) -> tuple[list[int], list[float]]:
    """The rule as it is written: every score before every pick."""
    x, number = np.asarray(envs.x), np.asarray(envs.structure_id)
    own = [float(entropy(x[number == s], bandwidth=BANDWIDTH)) for s in range(envs.n_structures)]
    known, picks, scores = reference, [], []
    for _ in range(size):
        score = np.array(own)
        if known is not None:
            dH = -np.asarray(logsumexp(log_kernels(x, known), axis=1))
            score += [dH[number == s].max() for s in range(envs.n_structures)]
        score[picks] = -np.inf
        picks.append(int(np.argmax(np.round(score, 10))))
        scores.append(score[picks[-1]])
        chosen = x[number == picks[-1]]
        known = chosen if known is None else np.concatenate([known, chosen])
    return picks, scores


@pytest.mark.slow
@given(seeds, st.booleans(), st.sampled_from([1.0, 100.0]))
@settings(max_examples=60)
def test_picks_and_scores_are_those_of_the_rule(seed, conditional, spread):
    envs = make_environments(spread * np.asarray(toy(seed).x), toy(seed).structure_id)
    reference = np.asarray(toy(seed + 1).x)[:5] if conditional else None
    picks, scores = plain_msc(envs, 6, reference)
    answer = msc(envs, bandwidth=BANDWIDTH, size=6, reference=reference)
    assert answer.selected.tolist() == picks
    np.testing.assert_allclose(answer.gains, scores, rtol=1e-9, atol=1e-9)


def test_many_groups_and_segments_give_the_same_picks(monkeypatch):
    envs = toy(3, counts=[5, 40, 1, 17, 33, 64, 2, 9, 70, 12])
    whole = msc(envs, bandwidth=BANDWIDTH, size=1.0).selected.tolist()
    for name, value in (("SEGMENT", 3), ("GROUP", 24), ("LOOKS", 2)):
        monkeypatch.setattr(novelty, name, value)
    assert msc(envs, bandwidth=BANDWIDTH, size=1.0).selected.tolist() == whole == plain_msc(envs, 10)[0]


def test_structures_beyond_the_reach_of_the_kernel_are_ordered_by_distance():
    x = np.array([0.0, 1e3, 1e6, 1e2, 1e4])[:, None]  # kernels between them are 0 in float64
    order = msc(make_environments(x, np.arange(5)), bandwidth=BANDWIDTH, size=5)
    assert order.selected.tolist() == [0, 2, 4, 1, 3]
    assert np.isfinite(order.gains).all()


@pytest.mark.parametrize("elements", [None, [1, 8] * 40])
def test_masses_within_are_those_of_the_own_structure(elements):
    x = np.random.default_rng(1).normal(size=(80, 3)) * 0.2
    number = np.repeat([0, 1, 3, 4], [1, 50, 9, 20])
    envs = make_environments(x, number, elements=elements, n_structures=6)
    kernel = np.exp(log_kernels(x, x)) * (number[:, None] == number[None])
    if elements is not None:
        kernel *= np.array(elements)[:, None] == np.array(elements)[None]
    np.testing.assert_allclose(masses_within(envs, BANDWIDTH), kernel.sum(axis=1), rtol=1e-10)


def test_the_lower_of_two_equal_structures_comes_first():
    x = np.concatenate([toy(4).x, toy(4).x])  # structures 8 to 15 repeat 0 to 7
    number = np.concatenate([toy(4).structure_id, np.asarray(toy(4).structure_id) + S])
    order = msc(make_environments(x, number), bandwidth=BANDWIDTH, size=2 * S).selected.tolist()
    assert all(order.index(s) < order.index(s + S) for s in range(S))


def test_structures_without_environments_come_last():
    envs = make_environments(toy(5).x, np.asarray(toy(5).structure_id) + 2, S + 3)
    order = msc(envs, bandwidth=BANDWIDTH, size=S + 3)
    assert order.selected[-3:].tolist() == [0, 1, S + 2]
    assert order.gains[-3:].tolist() == [0, 0, 0]


def test_it_says_how_many_picks_bring_anything_new():
    x, number = np.asarray(toy(4).x), np.asarray(toy(4).structure_id)
    twice = make_environments(np.concatenate([x, x]), np.concatenate([number, number + S]))
    answer = msc(twice, bandwidth=BANDWIDTH, size=1.0)
    adding = answer.saturated
    assert adding is not None
    assert 0 < adding <= S
    for done in range(1, 2 * S):
        known = np.concatenate([x[number == s % S] for s in answer.selected[:done]])
        of_next = x[number == answer.selected[done] % S]
        newest = np.max(-np.asarray(logsumexp(log_kernels(of_next, known), axis=1)))
        assert newest <= 1e-5 or done < adding
    assert msc(twice, bandwidth=BANDWIDTH, size=3, reference=x).saturated == 0
    assert msc(toy(4), bandwidth=BANDWIDTH, size=1).saturated is None


def test_only_structures_without_environments():
    empty = make_environments(np.zeros((0, 2)), np.zeros(0, int), 3)
    assert msc(empty, bandwidth=BANDWIDTH, size=2).selected.tolist() == [0, 1]


def test_an_empty_reference_is_no_reference():
    orders = [
        msc(toy(6), bandwidth=BANDWIDTH, size=4, reference=r).selected for r in (None, np.zeros((0, 2)))
    ]
    assert orders[0].tolist() == orders[1].tolist()


@given(seeds)
@settings(max_examples=15)
def test_every_prefix_is_an_answer(seed):
    order = msc(toy(seed), bandwidth=BANDWIDTH, size=1.0).selected
    assert sorted(order) == list(range(S))
    assert msc(toy(seed), bandwidth=BANDWIDTH, size=3).selected.tolist() == order[:3].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be a fraction"),
        ({"size": 9}, "larger than the data set of 8"),
        ({"bandwidth": -1.0}, "bandwidth must be a positive number"),
        ({"reference": np.ones((2, 3))}, "reference: expected 2 features"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        msc(toy(0), **({"bandwidth": BANDWIDTH} | options))
