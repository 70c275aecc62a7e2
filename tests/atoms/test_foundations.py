"""What everything stands on: padding, progress, checks on input, guards against NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo import zoo

from quests_jax.atoms.describe import get_descriptors
from quests_jax.base.checks import InputError, check_count, check_matrix, check_positive, located
from quests_jax.base.environments import Environments, make_environments
from quests_jax.base.numerics import overlap_tolerance, safe_reciprocal, safe_sqrt
from quests_jax.base.padding import padded_size
from quests_jax.base.progress import advance, report_progress
from quests_jax.base.selection_size import check_size


@given(st.integers(1, 10**7), st.sampled_from([1, 2, 8, 16, 64, 100]))
def test_padding_adds_at_most_a_quarter(n: int, smallest: int) -> None:
    size = padded_size(n, smallest=smallest)
    assert size >= max(n, smallest)
    assert size == smallest or size <= 1.25 * n + 1
    assert padded_size(size, smallest=smallest) == size


def test_padding_leaves_few_sizes() -> None:
    sizes = [padded_size(n, smallest=64) for n in range(1, 65536)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) <= 1 + 4 * 10  # four to every doubling from 64 to 65,536


def test_progress_goes_to_the_listener_and_ends_with_the_total() -> None:
    structures, heard = list(zoo(0).values()), []
    with report_progress(lambda *event: heard.append(event)):
        get_descriptors(structures * 200, k=8, cutoff=4.1)
    stages, done, totals = zip(*heard, strict=True)
    assert set(stages) == {"descriptors"}
    assert len(done) > 1
    assert list(done) == sorted(set(done))
    assert set(totals) == {done[-1]} == {200 * sum(map(len, structures))}
    advance("descriptors", 1, 2)
    assert len(heard) == len(done)


@pytest.mark.parametrize(("guarded", "plain"), [(safe_sqrt, np.sqrt), (safe_reciprocal, np.reciprocal)])
def test_guards_change_nothing_above_zero(guarded: Callable, plain: Callable) -> None:
    values = np.geomspace(1e-300, 1e300, 31)
    np.testing.assert_allclose(guarded(jnp.asarray(values)), plain(values), rtol=1e-15)


@pytest.mark.parametrize(("guarded", "at_zero"), [(safe_sqrt, 0.0), (safe_reciprocal, 0.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_guards_have_no_gradient_at_zero(guarded: Callable, at_zero: float, dtype: str) -> None:
    value, gradient = jax.value_and_grad(guarded)(jnp.zeros((), dtype))
    assert value.dtype == dtype
    assert value == at_zero
    assert gradient == 0


def test_the_overlap_tolerance_is_that_of_quests_in_both_precisions() -> None:
    assert overlap_tolerance(jnp.dtype("float64")) == 1e-5
    assert overlap_tolerance(jnp.dtype("float32")) == 1e-5


@given(st.integers(1, 10**6))
def test_sizes_that_make_sense(n: int) -> None:
    assert check_size(n, n) == n
    assert check_size(1, n) == 1
    assert check_size(1.0, n) == n
    assert check_size(np.int64(n), n) == n
    assert check_size(1e-9, n) == 1
    assert abs(check_size(0.25, n) - n / 4) <= max(0.5, 1 - n / 4)


@pytest.mark.parametrize("size", [0, -1, 0.0, -0.1, 1.5, 11, np.nan, np.inf, "half", None, True])
def test_sizes_that_make_none(size: Any) -> None:
    with pytest.raises(InputError, match="size") as refused:
        check_size(size, 10)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [0, -1, 1.5, np.nan, np.inf, -np.inf, "three", None, [2]])
def test_counts_that_make_none(value: Any) -> None:
    with pytest.raises(InputError, match="^k must be") as refused:
        check_count("k", value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf, "wide", None, [0.1]])
def test_numbers_that_are_not_positive(value: Any) -> None:
    with pytest.raises(InputError, match="^bandwidth must be") as refused:
        check_positive("bandwidth", value)
    assert "\n" not in str(refused.value)


def test_numbers_in_any_clothes_are_accepted() -> None:
    assert check_count("k", "32") == check_count("k", 32.0) == check_count("k", np.int32(32)) == 32
    assert check_positive("cutoff", "5") == check_positive("cutoff", np.float32(5)) == 5.0


def test_places_are_put_in_front_of_messages() -> None:
    with (
        pytest.raises(InputError, match="^data.xyz: structure 3: bad$"),
        located("data.xyz"),
        located("structure 3"),
    ):
        raise InputError("bad")


X = np.ones((4, 3))
IN_TURN = np.array([0, 0, 2, 2])


def test_environments_of_ones_own() -> None:
    envs = make_environments(X, IN_TURN)
    assert envs.n_structures == 3
    assert envs.counts.tolist() == [2, 0, 2]
    assert make_environments(X, IN_TURN, 5).counts.tolist() == [2, 0, 2, 0, 0]
    assert np.asarray(make_environments(X.astype("float32"), IN_TURN).x).dtype == np.float32


def test_environments_pass_through_jit() -> None:
    envs = make_environments(X, IN_TURN)
    doubled = jax.jit(lambda e: jax.tree.map(lambda leaf: 2 * leaf, e))(envs)
    assert isinstance(doubled, Environments)
    assert doubled.n_structures == 3
    np.testing.assert_array_equal(doubled.x, 2 * X)


@pytest.mark.parametrize(
    ("x", "structure_id", "n_structures", "expected"),
    [
        (X[0], [0], None, "shape"),
        (X, [0, 0, 1], None, "structure_id"),
        (X, [0.0, 0.0, 1.0, 1.0], None, "structure_id"),
        (X, [0, 1, 0, 1], None, "ascending"),
        (X, [-1, 0, 0, 1], None, "ascending"),
        (X, [0, 0, 1, 1], 1, "n_structures"),
        (np.where(np.arange(4)[:, None] == 2, np.nan, X), [0, 0, 1, 1], None, "environment 2"),
        (np.where(np.arange(4)[:, None] == 3, np.inf, X), [0, 0, 1, 1], None, "environment 3"),
    ],
)
def test_arrays_that_are_no_environments(x: Any, structure_id: Any, n_structures: Any, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as refused:
        make_environments(x, structure_id, n_structures)
    assert "\n" not in str(refused.value)


def test_matrices_of_other_width_are_refused() -> None:
    check_matrix("y", X, 3)
    with pytest.raises(InputError, match="^y: expected 5 features"):
        check_matrix("y", X, 5)
