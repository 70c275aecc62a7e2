from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_covers import BANDWIDTH, COUNTS, toy, toy_problem, uneven

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.cover import cover_problem, make_budget, soft_weights
from quests_jax.cover.bounds.relaxation import Data, upper_bound
from quests_jax.cover.objectives.mass_functions import LOG_MASS, SATURATED
from quests_jax.cover.solvers import soft_newton
from quests_jax.cover.solvers.soft import soft_cover

N, S, SIZE = sum(COUNTS), len(COUNTS), 3
DIRECTION = np.random.default_rng(1)
CHANGES = {  # a direction of change of each input, and a step at which central differences are exact to 1e-6
    "x": (DIRECTION.normal(size=(N, 2)) * BANDWIDTH, 1e-5),
    "bandwidth": (np.array(BANDWIDTH), 1e-5),
    "weights": (DIRECTION.normal(size=N), 1e-5),
    "targets": (DIRECTION.normal(size=(5, 2)) * BANDWIDTH, 1e-5),
    "reference": (DIRECTION.normal(size=(3, 2)) * BANDWIDTH, 1e-5),
    "cost": (DIRECTION.normal(size=S), 1e-5),
    "size": (np.array(1.0), 1e-5),
    "temperature": (np.array(0.1), 1e-5),
}
BASIC = ("x", "bandwidth", "weights")


def inputs(seed: int, names=BASIC) -> dict[str, jax.Array]:
    rng = np.random.default_rng(seed)
    everything = {
        "x": np.asarray(toy(seed).x),
        "bandwidth": BANDWIDTH,
        "weights": rng.uniform(0.5, 2, 5 if "targets" in names else N),
        "targets": rng.uniform(0, 0.5, (5, 2)),
        "reference": rng.uniform(0, 0.5, (3, 2)),
        "cost": rng.uniform(0.5, 2, S),
        "size": float(SIZE),
        "temperature": 0.1,
    }
    return {name: jnp.asarray(everything[name]) for name in names}


def soft(given: dict[str, jax.Array], temperature: float = 0.1) -> jax.Array:
    envs = Environments(given["x"], toy(0).structure_id, S)
    others = {name: value for name, value in given.items() if name != "x"}
    return soft_weights(envs, **({"size": SIZE, "temperature": temperature} | others))


@given(st.integers(0, 10_000), st.sampled_from([1e-6, 0.03, 0.1, 1.0]))
@settings(max_examples=10)
def test_weights_are_inside_the_budget(seed, temperature):
    w = soft(inputs(seed), temperature)
    assert float(w.sum()) == pytest.approx(SIZE, rel=1e-12)
    assert 0 < float(w.min()) <= float(w.max()) <= 1


@given(st.integers(0, 10_000), st.sampled_from([1e-6, 1e-3, 0.1]))
@settings(max_examples=15)
def test_the_conditions_of_the_maximum_hold(seed, temperature):
    problem = toy_problem(seed, cost=uneven(seed)["cost"])
    c, M = np.asarray(problem.cost), np.asarray(problem.masses.values)
    found = soft_cover(toy(seed), size=SIZE, temperature=temperature, bandwidth=BANDWIDTH, cost=c)
    w = np.asarray(found.weights)
    assert bool(found.converged)
    assert c @ w == pytest.approx(SIZE, rel=1e-12)
    slope = M @ (jax.nn.sigmoid((1 - w @ M) / temperature) / N)
    inside = (w > 1e-6) & (w < 1 - 1e-6)
    inside[np.argmin(np.abs(w - 0.5))] = True
    price = slope[inside] / c[inside] - temperature / SIZE * (np.log(w[inside]) - np.log1p(-w[inside]))
    assert np.ptp(price) <= 1e-7


def weighed(given: dict[str, jax.Array]) -> jax.Array:
    return jnp.sum(jnp.linspace(-1, 1, S) * soft(given))


NAMES = tuple(CHANGES)  # one program for every derivative of one kind
VALUE, SLOPES = jax.jit(weighed), jax.jit(jax.grad(weighed))
DIRECTIONS = {name: jnp.asarray(direction) for name, (direction, _) in CHANGES.items()}
DIRECTIONS["weights"] = DIRECTIONS["weights"][:5]


def differences(f, at: dict[str, jax.Array], name: str, step: float):
    ahead, back = (f(at | {name: at[name] + sign * step * DIRECTIONS[name]}) for sign in (1, -1))
    return jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead, back)


@pytest.mark.parametrize("temperature", [1e-3, 0.1])
def test_derivatives_are_those_of_finite_differences(temperature):
    at = inputs(3, NAMES) | {"temperature": jnp.asarray(temperature)}
    slopes = SLOPES(at)
    for name, (_, step) in CHANGES.items():
        step = min(step, 0.01 * temperature) if name == "temperature" else step
        expected = float(differences(VALUE, at, name, step))
        assert float(jnp.sum(slopes[name] * DIRECTIONS[name])) == pytest.approx(
            expected, rel=1e-4, abs=1e-7
        ), name


def test_forward_mode_and_second_derivatives_are_right_too():
    names = ("x", "temperature")  # each more takes as long again to compile
    at = inputs(3, names)

    def along(t):
        return weighed({name: at[name] + t * DIRECTIONS[name] for name in names})

    slope = jax.jit(jax.grad(along))
    forward, second = jax.jit(jax.value_and_grad(lambda t: jax.jvp(along, (t,), (1.0,))[1]))(0.0)
    assert float(forward) == pytest.approx(float(slope(0.0)), rel=1e-9)
    expected = float(slope(1e-5) - slope(-1e-5)) / 2e-5
    assert float(second) == pytest.approx(expected, rel=1e-5)


def test_what_has_not_converged_says_so(monkeypatch):
    monkeypatch.setattr(soft_newton, "MAX_STEPS", 2)
    jax.clear_caches()
    found = soft_cover(toy(3), size=SIZE, temperature=1e-3, bandwidth=BANDWIDTH)
    assert not bool(found.converged)
    with pytest.raises(InputError, match="have not converged"):
        soft_weights(toy(3), size=SIZE, temperature=1e-3, bandwidth=BANDWIDTH)
    traced = jax.jit(lambda T: soft_weights(toy(3), size=SIZE, temperature=T, bandwidth=BANDWIDTH))
    assert np.isnan(np.asarray(traced(1e-3))).all()
    monkeypatch.undo()
    jax.clear_caches()


def test_another_temperature_size_and_data_set_of_one_shape_compile_nothing(caplog):
    soft_weights(toy(1), size=2, temperature=0.1, bandwidth=BANDWIDTH)
    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        soft_weights(toy(2), size=4, temperature=0.2, bandwidth=2 * BANDWIDTH)
    assert not [record for record in caplog.records if record.message.startswith("Compiling")]


def test_other_measures_can_be_soft():
    w = soft_weights(toy(2), size=SIZE, temperature=0.1, bandwidth=BANDWIDTH, measure=LOG_MASS)
    assert float(w.sum()) == pytest.approx(SIZE)
    wrong = SATURATED._replace(offset=lambda theta: 0.5 - 0.5 * theta)
    with pytest.raises(InputError, match="no bound would hold"):
        soft_weights(toy(2), size=SIZE, temperature=0.1, bandwidth=BANDWIDTH, measure=wrong)


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
        ({"cost": -np.ones(S)}, "costs must be positive and finite"),
        ({"weights": np.append(np.ones(N - 1), np.nan)}, f"weights: number {N - 1} is nan"),
        ({"weights": np.append(-1.0, np.ones(N - 1))}, "weights: number 0 is -1.0"),
        ({"weights": np.zeros(N)}, "weights: all are 0"),
        ({"weights": np.ones(N - 1)}, f"weights: expected {N} numbers"),
        ({"reference": np.full((2, 2), np.nan)}, "reference: environment 0 holds a value that is not finite"),
        ({"reference": np.ones((2, 3))}, "reference: expected 2 features"),
        ({"targets": np.full((2, 2), np.inf)}, "targets: environment 0 holds a value that is not finite"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        soft_weights(toy(0), **({"size": SIZE, "temperature": 0.1} | options))
