"""How a streaming sum becomes a primitive of JAX: compiled, mapped, and the same on every device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.extend.core
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.interpreters import ad, batching, mlir

from quests_jax.base.precision import follows_dtype
from quests_jax.information.sums.sharding import alike, varying_over


def make_primitive(name: str, impl: Callable, shape: Callable) -> jax.extend.core.Primitive:
    """A primitive lowered from `impl`, whose last argument is the bandwidth.

    Under vmap it runs once per member; where the bandwidth alone is mapped and `impl` takes several,
    all share one pass over the distances. In a `jax.shard_map` the result varies over the devices as the
    arguments do, which `bind` makes alike; `impl` does not know of devices.
    """
    impl = follows_dtype(impl)  # also where it is compiled by a process that has float64 switched off
    primitive = jax.extend.core.Primitive(name)
    primitive.def_impl(jax.jit(impl, static_argnames="power"))
    primitive.def_abstract_eval(
        lambda *args, power: varying_over(args[-1].shape + shape(*args), args[-1].dtype, args[-1])
    )
    lower = mlir.lower_fun(impl, multiple_results=False)

    def lowering(ctx, *args, power):
        plain = [ShapedArray(aval.shape, aval.dtype) for aval in ctx.avals_in]
        return lower(ctx.replace(avals_in=plain), *args, power=power)

    mlir.register_lowering(primitive, follows_dtype(lowering))

    def batch(args, dims, *, power):
        again = partial(bind, primitive, power=power)
        only_bandwidths = dims[-1] is not None and not any(d is not None for d in dims[:-1])
        if primitive in _SEVERAL_BANDWIDTHS and only_bandwidths and args[-1].ndim == 1:
            return again(*args), 0
        moved = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(args, dims, strict=True)]
        mapped = [a for a, d in zip(moved, dims, strict=True) if d is not None]

        def one(members):
            members = iter(members)
            return again(*(a if d is None else next(members) for a, d in zip(moved, dims, strict=True)))

        return jax.lax.map(one, mapped), 0

    batching.primitive_batchers[primitive] = batch
    return primitive


def bind(primitive: jax.extend.core.Primitive, *args: jax.Array, power: int) -> jax.Array:
    """The primitive of arguments that all vary over the same axes of devices."""
    return primitive.bind(*alike(*args), power=power)


_SEVERAL_BANDWIDTHS: set[jax.extend.core.Primitive] = set()


def differentiate_one_bandwidth(primitive: jax.extend.core.Primitive, jvp: Callable) -> None:
    """Register a jvp rule written for one bandwidth; several are differentiated one after the other."""

    def rule(primals, tangents, *, power):
        if primals[-1].ndim == 0:
            return jvp(primals, tangents, power)
        count, *primals = primals
        tangents = [ad.instantiate_zeros(t) for t in tangents[1:]]

        def each(*args):
            return jax.lax.map(lambda h: bind(primitive, count, *args[:-1], h, power=power), args[-1])

        value = bind(primitive, count, *primals, power=power)
        return value, jax.jvp(each, tuple(primals), tuple(tangents))[1]

    _SEVERAL_BANDWIDTHS.add(primitive)
    ad.primitive_jvps[primitive] = rule


def sum_tangents(rules: list[tuple[jax.Array | ad.Zero | None, Callable]], like: jax.Array) -> jax.Array:
    """Σ rule(tangent) over the tangents that are not symbolically zero."""
    total = jnp.zeros_like(like)
    for tangent, rule in rules:
        if tangent is not None and not isinstance(tangent, ad.Zero):
            total = total + rule(tangent)
    return total
