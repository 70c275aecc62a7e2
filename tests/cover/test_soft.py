from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_covers import BANDWIDTH, COUNTS, toy

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.cover import cover_problem, make_budget, soft_weights
from quests_jax.cover.bounds.relaxation import Data, upper_bound
from quests_jax.cover.measures import SATURATED

N, S, SIZE = sum(COUNTS), len(COUNTS), 3
DIRECTION = np.random.default_rng(1)
STEPS = {  # a direction of change of each input, and a step at which central differences are exact to 1e-7
    "x": (DIRECTION.normal(size=(N, 2)) * BANDWIDTH, 1e-5),
    "bandwidth": (np.array(BANDWIDTH), 1e-5),
    "weights": (DIRECTION.normal(size=N), 1e-5),
}


def inputs(seed: int) -> dict[str, jax.Array]:
    weights = np.random.default_rng(seed).uniform(0.5, 2, N)
    return {"x": jnp.asarray(toy(seed).x), "bandwidth": jnp.array(BANDWIDTH), "weights": jnp.asarray(weights)}


def soft(inputs: dict[str, jax.Array], temperature: float = 0.1) -> jax.Array:
    envs = Environments(inputs["x"], toy(0).structure_id, S)
    return soft_weights(
        envs, size=SIZE, temperature=temperature, bandwidth=inputs["bandwidth"], weights=inputs["weights"]
    )


@given(st.integers(0, 10_000), st.sampled_from([0.03, 0.1, 1.0]))
@settings(max_examples=20)
def test_weights_are_inside_the_budget(seed, temperature):
    w = soft(inputs(seed), temperature)
    assert float(w.sum()) == pytest.approx(SIZE, rel=1e-12)
    assert 0 < float(w.min()) <= float(w.max()) < 1


@pytest.mark.parametrize("temperature", [0.03, 0.3])
@pytest.mark.parametrize("name", STEPS)
def test_gradients_are_those_of_finite_differences(name, temperature):
    at, (direction, step) = inputs(3), STEPS[name]
    slopes = jnp.linspace(-1, 1, S)

    def along(t):
        return jnp.sum(slopes * soft(at | {name: at[name] + t * direction}, temperature))

    expected = (along(step) - along(-step)) / (2 * step)
    assert abs(expected) > 1e-3
    assert float(jax.grad(along)(0.0)) == pytest.approx(float(expected), rel=1e-5)


def test_cold_weights_are_an_optimum_of_the_relaxation():
    problem = cover_problem(toy(4), bandwidth=BANDWIDTH)
    w = soft_weights(toy(4), size=SIZE, temperature=1e-4, bandwidth=BANDWIDTH)
    mass = problem.masses.total(w)
    data = Data(problem.masses, problem.weights / N, problem.reference_mass, make_budget(problem, size=SIZE))
    bound = upper_bound(data, jax.nn.sigmoid((1 - mass) / 1e-4), SATURATED)
    assert float(bound) - float(jnp.mean(jnp.minimum(mass, 1))) < 1e-3


def test_hot_weights_are_even():
    np.testing.assert_allclose(soft(inputs(5), 1e4), SIZE / S, atol=1e-3)


def test_copies_share_their_weight():
    x, number = np.asarray(toy(6).x), np.asarray(toy(6).structure_id)
    twice = Environments(np.concatenate([x, x]), np.concatenate([number, number + S]), 2 * S)
    w = soft_weights(twice, size=SIZE, temperature=0.1, bandwidth=BANDWIDTH)
    np.testing.assert_allclose(w[:S], w[S:], atol=1e-9)


def test_it_can_be_jitted_and_keeps_float32():
    single = Environments(jnp.asarray(toy(7).x, jnp.float32), toy(7).structure_id, S)
    run = jax.jit(lambda x: soft_weights(Environments(x, toy(7).structure_id, S), size=SIZE, temperature=0.1))
    assert run(single.x).dtype == jnp.float32
    np.testing.assert_allclose(run(single.x), soft_weights(single, size=SIZE, temperature=0.1), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be a positive number"),
        ({"size": S}, "size 8 is the whole data set"),
        ({"size": 0}, "size must be a fraction"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        soft_weights(toy(0), **({"size": SIZE, "temperature": 0.1} | options))
