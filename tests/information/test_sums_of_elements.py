"""Elements told apart: every sum, measure, rule and certificate is that of each element alone, joined."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernel_oracle import DIMENSION

import quests_jax as qj
from quests_jax import information
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, apart, joined, make_environments
from quests_jax.cover import prefix_metrics, soft_weights, staged_cover
from quests_jax.cover.rules.registry import RULES
from quests_jax.information.sums import element_division, kernel_sums

H = 0.05
S = 8


def mixture(seed: int = 0, n: int = 60) -> Environments:
    """Environments of three elements in one region, of as many features as in `test_kernels`."""
    generator = np.random.default_rng(seed)
    x = 0.08 * generator.random((n, DIMENSION))
    structure = np.sort(np.concatenate([np.arange(S), generator.integers(0, S, n - S)]))
    return make_environments(x, structure, S, generator.choice([1, 8, 14], n))


def kernel(y: Environments, x: Environments) -> np.ndarray:
    """δ(Z_i, Z_j) K_ij, pair by pair."""
    K = np.zeros((len(y), len(x)))
    for i in range(len(y)):
        for j in range(len(x)):
            if y.elements[i] == x.elements[j]:
                K[i, j] = np.exp(-np.sum((y.x[i] - x.x[j]) ** 2) / (2 * H**2))
    return K


def test_each_sum_is_that_of_the_kernel_with_elements():
    y, x = mixture(1, 30), mixture(2)
    K, v = kernel(y, x), np.random.default_rng(0).normal(size=(len(x), 4))
    np.testing.assert_allclose(information.kernel_sum(y, x, bandwidth=H), K.sum(axis=1), rtol=1e-12)
    w = np.abs(v[:, 0])
    np.testing.assert_allclose(information.kernel_sum(y, x, bandwidth=H, weights=w), K @ w, rtol=1e-12)
    np.testing.assert_allclose(information.kernel_product(y, x, v, bandwidth=H), K @ v, atol=1e-12)
    np.testing.assert_allclose(
        information.self_kernel_sum(x, bandwidth=H), kernel(x, x).sum(axis=1), rtol=1e-12
    )
    here, there = information.cross_kernel_sums(y, x, bandwidth=H)
    np.testing.assert_allclose(here, K.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(there, K.sum(axis=0), rtol=1e-12)
    masses = information.structure_masses(y, x, x.structure_id, S, bandwidth=H)
    expected = np.stack([K[:, x.structure_id == s].sum(axis=1) for s in range(S)])
    np.testing.assert_allclose(masses, expected, rtol=1e-12, atol=1e-15)


def with_bad(values: np.ndarray, row: int) -> np.ndarray:
    changed = np.array(values)
    changed[row] = np.nan
    return changed


LAST = len(mixture()) - 1
WRONG = {
    "weights": (
        lambda x: information.self_kernel_sum(x, weights=with_bad(np.ones(60), LAST)),
        f"number {LAST} ",
    ),
    "few weights": (lambda x: information.log_kernel_sum(x, x, weights=np.ones(50)), "expected 60 numbers"),
    "values": (
        lambda x: information.kernel_product(x, x, with_bad(np.ones((60, 2)), LAST)),
        f"v: row {LAST} ",
    ),
    "few values": (
        lambda x: information.kernel_product(x, x, np.ones((50, 2))),
        r"v: expected shape \[60, c\]",
    ),
    "structures": (lambda x: information.structure_masses(x, x, np.arange(60) + 2**32, 60), "goes up to"),
    "few structures": (lambda x: information.structure_masses(x, x, np.arange(50), 60), "expected 60 whole"),
    "groups": (lambda x: information.log_sum_of_others(x, np.arange(50)), "group: expected 60 whole numbers"),
    "rows": (lambda x: information.log_sum_of_others(x, np.arange(60), rows=[60]), "rows: expected numbers"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_by_its_row_in_the_whole_set(name):
    """Inside, each element is a set of its own, whose row numbers say nothing to the caller."""
    call, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        call(mixture())


ALONE = Environments(
    np.zeros((2, DIMENSION)), np.zeros(2, int), 1, np.array([26, 26])
)  # an element of its own
UNSEEN = {
    "bandwidth": (
        lambda x: information.delta_entropy(ALONE, x, bandwidth=np.nan),
        "bandwidth must be a positive",
    ),
    "cross": (
        lambda x: information.cross_kernel_sums(ALONE, x, bandwidth=0.0),
        "bandwidth must be a positive",
    ),
    "width": (
        lambda x: information.overlap(Environments(np.zeros((2, 3)), np.zeros(2, int), 1, ALONE.elements), x),
        f"y: expected {DIMENSION} features",
    ),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_is_wrong_is_refused_where_no_pair_is_formed(name):
    call, message = UNSEEN[name]
    with pytest.raises(InputError, match=message):
        call(mixture())


def test_some_rows_may_be_a_mask():
    x, group = mixture(), np.arange(60) % 3
    mask = np.arange(60) % 4 == 1
    numbers = information.log_sum_of_others(x, group, rows=np.flatnonzero(mask), bandwidth=H)
    np.testing.assert_array_equal(information.log_sum_of_others(x, group, rows=mask, bandwidth=H), numbers)


def test_masses_of_half_precision_tell_elements_apart():
    x = mixture()
    half = dataclasses.replace(x, x=x.x.astype(np.float16))
    exact = dataclasses.replace(x, x=half.x.astype(float))
    K = kernel(exact, exact)
    expected = np.stack([K[:, x.structure_id == s].sum(axis=1) for s in range(S)])
    found = np.empty((S, len(x)))
    for rows, masses in information.tiles_of_masses(half, half, x.structure_id, S, bandwidth=H, error=1e-9):
        found[:, rows] = masses
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    found = information.structure_masses(half, half, x.structure_id, S, bandwidth=H)
    np.testing.assert_allclose(np.asarray(found, float), expected, rtol=2e-3, atol=1e-6)


def test_elements_do_not_leak_however_far_apart_environments_are():
    """Two of one element may be farther from each other than a fixed distance between elements."""
    generator = np.random.default_rng(3)
    x = 20.0 * generator.random((24, 3))  # 400 bandwidths
    x[::3] = x[0] + 0.01 * generator.random((8, 3))
    number = np.arange(24) // 4
    envs = make_environments(x, number, 6, generator.choice([1, 92], 24))
    found = qj.msc(envs, size=4, bandwidth=H)
    s = -np.sum((x[:, None] - x[None]) ** 2, axis=2) / (2 * H**2)
    s = np.where(envs.elements[:, None] == envs.elements[None], s, -np.inf)
    own = [np.exp(s[np.ix_(number == k, number == k)]).sum(axis=1) for k in range(6)]
    entropies = np.array([np.log(4) - np.log(p).mean() for p in own])
    for pick in range(1, 4):
        among = np.isin(number, found.selected[:pick])
        dH = -np.asarray(jax.nn.logsumexp(s[:, among], axis=1))
        scores = np.array([dH[number == k].max() for k in range(6)]) + entropies
        scores[found.selected[:pick]] = -np.inf
        if np.isfinite(scores.max()):
            assert found.selected[pick] == scores.argmax()
            assert found.gains[pick] == pytest.approx(scores.max(), rel=1e-9)


def test_each_measure_is_that_of_each_element_joined_bit_for_bit():
    x = mixture()
    several = np.array([0.5 * H, H])
    p = np.zeros((2, len(x)))
    for Z in (1, 8, 14):
        own = x.elements == Z
        p[:, own] = information.self_kernel_sum(x.x[own], bandwidth=several)
    np.testing.assert_array_equal(information.self_kernel_sum(x, bandwidth=several), p)
    dH = -np.log(p)
    np.testing.assert_allclose(qj.entropy(x, bandwidth=several), np.log(len(x)) + dH.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(qj.diversity(x, bandwidth=H), np.log(np.exp(dH[1]).sum()), rtol=1e-13)


def test_four_elements_form_a_quarter_of_the_pairs(monkeypatch):
    """Each of four elements is summed alone, and joined: the same numbers, from no other pairs."""
    x = dataclasses.replace(mixture(), elements=np.tile([1, 6, 7, 8], 15))
    sizes = []
    alone = kernel_sums.self_kernel_sum

    def counted(rows, **options):
        sizes.append(len(rows))
        return alone(rows, **options)

    monkeypatch.setattr(kernel_sums, "self_kernel_sum", counted)
    p = information.self_kernel_sum(x, bandwidth=H)
    assert sum(size**2 for size in sizes) == len(x) ** 2 // 4
    for Z in (1, 6, 7, 8):
        own = x.elements == Z
        np.testing.assert_array_equal(p[own], alone(x.x[own], bandwidth=H))


def test_one_element_is_no_element():
    x = dataclasses.replace(mixture(), elements=np.full(60, 6, np.int32))
    assert float(qj.entropy(x, bandwidth=H)) == float(qj.entropy(x.x, bandwidth=H))
    assert np.array_equal(qj.delta_entropy(x, x, bandwidth=H), qj.delta_entropy(x.x, x.x, bandwidth=H))


def test_an_element_that_the_reference_lacks_is_infinitely_novel():
    x = mixture()
    reference = x.take(x.elements != 8)
    dH = np.asarray(qj.delta_entropy(x, reference, bandwidth=H))
    np.testing.assert_array_equal(np.isposinf(dH), x.elements == 8)
    assert float(qj.overlap(x, reference, bandwidth=H)) == np.mean(dH < 1e-5) < 1
    shares = information.overlap_matrix([x.take(x.elements == 1), x.take(x.elements == 8)], bandwidth=H)
    np.testing.assert_array_equal(shares, np.eye(2))


def test_others_of_an_element_count_for_it_alone():
    x = mixture()
    dH = information.delta_entropy_of_others(x, x.structure_id, bandwidth=H)
    K = np.where(x.structure_id[:, None] != x.structure_id[None], kernel(x, x), 0)
    np.testing.assert_allclose(dH, -np.log(K.sum(axis=1)), rtol=1e-10)


def test_sets_must_agree_on_whether_elements_count():
    x = mixture()
    with pytest.raises(InputError, match="tells its elements apart"):
        qj.delta_entropy(x.x, x, bandwidth=H)
    with pytest.raises(InputError, match="tells its elements apart"):
        qj.cover_problem(x, bandwidth=H, reference=dataclasses.replace(x, elements=None))
    with pytest.raises(InputError, match="elements"):
        make_environments(x.x, x.structure_id, elements=x.elements[1:])


def test_measures_are_differentiable_in_the_descriptors():
    x = mixture()

    def value(rows):
        envs = dataclasses.replace(x, x=rows)
        return qj.entropy(envs, bandwidth=H) + qj.delta_entropy(envs, x, bandwidth=H).sum()

    both = jax.jit(jax.value_and_grad(value))
    along = np.random.default_rng(1).normal(size=x.x.shape)
    slope = float(jnp.vdot(both(x.x)[1], along))
    step = 1e-6
    finite = (float(both(x.x + step * along)[0]) - float(both(x.x - step * along)[0])) / (2 * step)
    assert slope == pytest.approx(finite, rel=1e-6)


def test_masses_prefixes_and_certificates_know_elements():
    x = mixture()
    problem = qj.cover_problem(x, bandwidth=H)
    K = kernel(x, x)
    chosen = qj.greedy_cover(problem, size=3)
    mass = K[:, np.isin(x.structure_id, chosen.selected)].sum(axis=1)
    assert chosen.coverage == pytest.approx(np.minimum(mass, 1).mean(), rel=1e-12)
    certified = qj.certify(problem, chosen)
    best = max(
        np.minimum(K[:, np.isin(x.structure_id, picks)].sum(axis=1), 1).mean()
        for picks in [[a, b, c] for a in range(S) for b in range(a) for c in range(b)]
    )
    assert chosen.coverage - 1e-12 <= best <= certified.upper_bound + 1e-12
    prefixes = prefix_metrics(x, chosen.selected, bandwidth=H)
    part = x.take(np.isin(x.structure_id, chosen.selected))
    assert prefixes.entropy[-1] == pytest.approx(float(qj.entropy(part, bandwidth=H)), rel=1e-12)
    assert prefixes.overlap[-1] == pytest.approx(float(qj.overlap(x, part, bandwidth=H)))
    assert staged_cover(x, size=3, parts=1, bandwidth=H).selected.tolist() == chosen.selected.tolist()


def twins() -> Environments:
    """Structures 0 and 1 differ in their elements alone; 2 and 3 repeat structure 0."""
    x = 0.3 * np.random.default_rng(0).random((5, 6))
    elements = np.repeat([[1], [8], [1], [1]], 5, axis=0).reshape(-1)
    return make_environments(np.tile(x, (4, 1)), np.repeat(np.arange(4), 5), 4, elements)


@pytest.mark.parametrize("name", [name for name in RULES if name not in ("random", "k-means", "k-means-H")])
def test_every_rule_takes_both_elements(name):
    chosen = RULES[name].choose(twins(), size=2, bandwidth=H, reference=None).selected
    assert 1 in chosen, f"{name} chose {chosen}"


@pytest.mark.parametrize("name", [name for name in RULES if RULES[name].complements])
def test_every_rule_complements_the_elements_of_a_reference(name):
    envs = twins()
    known = envs.take(envs.structure_id == 0)
    chosen = RULES[name].choose(envs, size=1, bandwidth=H, reference=known).selected
    assert chosen.tolist() == [1]


def test_compress_counts_environments_of_elements_that_the_choice_lacks():
    summary = qj.compress(twins(), size=1, method="cover", bandwidth=H).summary
    assert summary["selected"] == [0]
    assert summary["missing_elements"] == 5
    assert np.isfinite(summary["max_delta_entropy"])


def test_soft_weights_know_elements():
    w = soft_weights(twins(), size=2, temperature=0.05, bandwidth=H)
    assert float(w[1]) > 0.9


def test_columns_keep_elements_apart():
    x = mixture()
    rows = apart(x, H)
    scaled = np.exp(-np.sum((rows[:, None] - rows[None]) ** 2, axis=2) / (2 * H**2))
    np.testing.assert_allclose(scaled, kernel(x, x), atol=1e-12)
    assert joined([x, x]).counts.tolist() == [*x.counts, *x.counts]


def test_others_of_some_rows():
    x, rows = mixture(), np.array([41, 3, 17])
    dH = information.delta_entropy_of_others(x, x.structure_id, bandwidth=H)
    some = information.delta_entropy_of_others(x, x.structure_id, rows=rows, bandwidth=H)
    np.testing.assert_allclose(some, np.asarray(dH)[rows], rtol=1e-12)


@pytest.mark.parametrize("rows", [1, 256, 257, 4096, 4097, 5776, 40_000])
def test_elements_share_programs_only_where_padding_is_cheap(rows: int) -> None:
    """Four elements of 5,776 rows each take a third of the time of their sum without elements."""
    padded = kernel_sums._size(max(rows, element_division._room(np.arange(rows))))
    assert padded <= max(element_division.ROOMS[-1], 2 * rows)
