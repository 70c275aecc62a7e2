"""What is in a compiled program: no data, and nothing that is of another shape every time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.cover import soft_weights
from quests_jax.information import (
    delta_entropy,
    entropy,
    kernel_product,
    log_kernel_sum,
    over_devices,
    self_kernel_sum,
    structure_masses,
)

N, H = 700, 0.3  # rows, enough for tiles
SMALL = 64  # numbers that a constant may hold
X = jnp.asarray(np.random.default_rng(0).normal(size=(N, 3)))
W = jnp.ones(N)
NUMBER = np.arange(N) // 100
PROGRAMS = {
    "entropy": (lambda x: entropy(x, bandwidth=H), (X,)),
    "slope of the entropy": (jax.grad(lambda x: entropy(x, bandwidth=H)), (X,)),
    "delta entropy": (lambda y, x: delta_entropy(y, x, bandwidth=H), (X[:600], X)),
    "weights": (lambda x, w: log_kernel_sum(x, x, weights=w, bandwidth=H), (X, W)),
    "bandwidth": (lambda x, h: self_kernel_sum(x, bandwidth=h), (X, jnp.asarray(H))),
    "product": (lambda x, w: kernel_product(x, x, w[:, None], bandwidth=H), (X, W)),
    "devices": (lambda y, x: over_devices(delta_entropy)(y, x, bandwidth=H), (X, X)),
}


def constants(jaxpr: Any) -> Iterator[np.ndarray]:
    """Arrays that are part of a program or of a program in it."""
    yield from (np.asarray(each) for each in getattr(jaxpr, "consts", ()))
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            if hasattr(value, "eqns"):
                yield from constants(value)
        literals = (getattr(variable, "val", None) for variable in equation.invars)
        yield from (np.asarray(each) for each in literals if each is not None)


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_array_of_the_data_is_a_constant_of_a_program(name):
    f, arguments = PROGRAMS[name]
    traced = jax.jit(f).trace(*arguments)
    assert max((each.size for each in constants(traced.jaxpr)), default=0) <= SMALL
    text = traced.lower().as_text()
    listed = [each.count(",") + 1 for each in re.findall(r"dense<\\[(.*?)\\]>", text)]
    packed = [len(each) // 8 for each in re.findall(r'dense<"0x([0-9A-F]*)"', text)]
    assert max([0, *listed, *packed]) <= SMALL
    assert "dense_resource" not in text


def test_structure_numbers_are_all_that_environments_bake_in():
    """They are part of a program by design; their kernels and masses are not."""
    n, number = 40, np.arange(40) // 14

    def f(x: jax.Array) -> jax.Array:
        return soft_weights(Environments(x, number, 3), size=2, temperature=0.1, bandwidth=H)

    large = [each for each in constants(jax.make_jaxpr(f)(X[:n])) if each.size > 4]
    assert large
    for each in large:  # also followed by zeros, up to a size that programs share
        assert each.dtype.kind == "i"
        assert np.array_equal(each[:n], number)
        assert not each[n:].any()


@pytest.mark.parametrize(
    "f", [entropy, lambda x: structure_masses(x, x, NUMBER, 7), lambda x: delta_entropy(x, X)]
)
def test_symbolic_shapes_are_refused(f):
    (n,) = export.symbolic_shape("n")
    with pytest.raises(InputError, match="symbolic shape"):
        export.export(jax.jit(f))(jax.ShapeDtypeStruct((n, 3), jnp.float64))
