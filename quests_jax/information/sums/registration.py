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
from quests_jax.base.step_sizes import platform_of
from quests_jax.information.sums.sharding import alike, varying_over


def make_primitive(name: str, impl: Callable, shape: Callable) -> jax.extend.core.Primitive:
    """A primitive lowered from `impl`, whose last argument is the bandwidth.

    `impl` is told by `at` in which steps the platform works that it is lowered for.
    Under vmap it runs once per member; where the bandwidth alone is mapped and `impl` takes several,
    all share one pass over the distances. In a `jax.shard_map` the result varies over the devices as the
    arguments do, which `bind` makes alike; `impl` does not know of devices.
    """
    primitive = jax.extend.core.Primitive(name)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=("power", "n_structures", "error")))
    primitive.def_abstract_eval(
        lambda *args, **how: varying_over(args[-1].shape + shape(*args, **how), args[-1].dtype, args[-1])
    )
    implementations[primitive] = impl
    for platform in ("cpu", "gpu", "tpu"):
        mlir.register_lowering(primitive, _lowering(impl, platform), platform=platform)

    def batch(args, dims, **how):
        again = partial(bind, primitive, **how)
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


implementations: dict[jax.extend.core.Primitive, Callable] = {}  # (*arguments, at=, ...) of each


def _lowering(impl: Callable, platform: str) -> Callable:
    """How `impl` is lowered for a platform, also by a process that has float64 switched off."""

    def lowering(ctx, *args, **how):
        plain = [ShapedArray(aval.shape, aval.dtype) for aval in ctx.avals_in]
        here = partial(impl, at=platform_of(platform), **how)
        return mlir.lower_fun(here, multiple_results=False)(ctx.replace(avals_in=plain), *args)

    return follows_dtype(lowering)


def bind(primitive: jax.extend.core.Primitive, *args: jax.Array, **how: int | float) -> jax.Array:
    """The primitive of arguments that all vary over the same axes of devices."""
    return primitive.bind(*alike(*args), **how)


_SEVERAL_BANDWIDTHS: set[jax.extend.core.Primitive] = set()


def differentiate_one_bandwidth(primitive: jax.extend.core.Primitive, jvp: Callable) -> None:
    """Register a jvp rule written for one bandwidth; several are differentiated one after the other."""

    def rule(primals, tangents, **how):
        if primals[-1].ndim == 0:
            return jvp(primals, tangents, **how)
        count, *primals = primals
        tangents = [ad.instantiate_zeros(t) for t in tangents[1:]]

        def each(*args):
            return jax.lax.map(lambda h: bind(primitive, count, *args[:-1], h, **how), args[-1])

        value = bind(primitive, count, *primals, **how)
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
