"""How a streaming sum becomes a primitive of JAX: compiled, mapped, and the same on every device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from quests_jax.base.precision import follows_dtype
from quests_jax.base.step_sizes import TILE, Platform, platform_of
from quests_jax.information.sums.varying_axes import alike, varying_over

implementations: dict[Primitive, Callable] = {}  # (*arguments, at=, ...) of each
_many: dict[Primitive, Primitive] = {}  # the primitive of many members of each
_SEVERAL_BANDWIDTHS: set[Primitive] = set()


def make_primitive(name: str, impl: Callable, shape: Callable) -> Primitive:
    """A primitive lowered from `impl`, whose last argument is the bandwidth.

    `impl` is told by `at` in which steps the platform works that it is lowered for.
    Under vmap it becomes a primitive of many members, which are summed side by side; where the bandwidth
    alone is mapped and `impl` takes several, all share one pass over the distances. In a `jax.shard_map` the
    result varies over the devices as the arguments do, which `bind` makes alike; `impl` does not know of
    devices.
    """

    def shape_of_one(*args, **how):
        return (*args[-1].shape, *shape(*args, **how))

    primitive = _lowered(name, impl, shape_of_one)
    many = _many[primitive] = _primitive_of_many(name, primitive, impl, shape_of_one)

    def batch(args, dims, **how):
        only_bandwidths = dims[-1] is not None and not any(d is not None for d in dims[:-1])
        if primitive in _SEVERAL_BANDWIDTHS and only_bandwidths and args[-1].ndim == 1:
            return bind(primitive, *args, **how), 0
        moved = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(args, dims, strict=True)]
        return bind(many, *moved, mapped=tuple(d is not None for d in dims), **how), 0

    batching.primitive_batchers[primitive] = batch
    return primitive


def bind(primitive: Primitive, *args: jax.Array, **how: int | float | tuple[bool, ...]) -> jax.Array:
    """The primitive of arguments that all vary over the same axes of devices."""
    return primitive.bind(*alike(*args), **how)


def _lowered(name: str, impl: Callable, shape: Callable) -> Primitive:
    """A primitive of which only its lowering and the shape of its result are known."""
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=("power", "n_structures", "error", "mapped")))
    primitive.def_abstract_eval(
        lambda *args, **how: varying_over(shape(*args, **how), args[-1].dtype, args[-1])
    )
    implementations[primitive] = impl
    for platform in ("cpu", "gpu", "tpu"):
        mlir.register_lowering(primitive, _lowering(impl, platform), platform=platform)
    return primitive


def _lowering(impl: Callable, platform: str) -> Callable:
    """How `impl` is lowered for a platform, also by a process that has float64 switched off."""

    def lowering(ctx, *args, **how):
        plain = [ShapedArray(aval.shape, aval.dtype) for aval in ctx.avals_in]
        here = partial(impl, at=platform_of(platform), **how)
        return mlir.lower_fun(here, multiple_results=False)(ctx.replace(avals_in=plain), *args)

    return follows_dtype(lowering)


# --- many members: those arguments that are `mapped` have a leading axis ------------------------------


def _primitive_of_many(name: str, one: Primitive, impl: Callable, shape: Callable) -> Primitive:
    """The primitive of many members, with derivatives that are those of `one`, mapped."""

    def shape_of_many(*args, mapped, **how):
        members = args[mapped.index(True)].shape[0]
        return (members, *shape(*_first(args, mapped), **how))

    many = _lowered(f"{name}_of_many", partial(_impl_of_many, impl), shape_of_many)

    def jvp(primals, tangents, *, mapped, **how):
        moving = [n for n, t in enumerate(tangents) if t is not None and not isinstance(t, ad.Zero)]

        def member(primals, some):
            changes = [ad.Zero(jax.typeof(p).to_tangent_aval()) for p in primals]
            for n, tangent in zip(moving, some, strict=True):
                changes[n] = tangent
            return ad.primitive_jvps[one](primals, changes, **how)

        axes = _axes(mapped)
        some = [tangents[n] for n in moving]
        return jax.vmap(member, (axes, [axes[n] for n in moving]))(list(primals), some)

    def transpose(cotangent, *args, mapped, **how):
        if isinstance(cotangent, ad.Zero):
            return (None,) * len(args)
        linear = [n for n, a in enumerate(args) if ad.is_undefined_primal(a)]

        def member(cotangent, known):
            known = iter(known)
            given = [None if n in linear else next(known) for n in range(len(args))]
            found = ad.primitive_transposes[one](cotangent, *given, **how)
            return [found[n] for n in linear]

        given = [n for n in range(len(args)) if n not in linear]
        axes = _axes(mapped)
        each = jax.vmap(member, (0, [axes[n] for n in given]))(cotangent, [args[n] for n in given])
        found = {n: each[i] if mapped[n] else each[i].sum(axis=0) for i, n in enumerate(linear)}
        return tuple(found.get(n) for n in range(len(args)))

    def batch(args, dims, *, mapped, **how):
        """Members of members are more members."""
        moved = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(args, dims, strict=True)]
        place = mapped.index(True)
        outer = next(a.shape[0] for a, d in zip(moved, dims, strict=True) if d is not None)
        inner = moved[place].shape[0 if dims[place] is None else 1]

        def flat(a, dim, is_mapped):
            if dim is None and not is_mapped:
                return a
            a = a[None] if dim is None else a
            a = a if is_mapped else a[:, None]
            return jnp.broadcast_to(a, (outer, inner, *a.shape[2:])).reshape(-1, *a.shape[2:])

        both = [flat(*each) for each in zip(moved, dims, mapped, strict=True)]
        now = tuple(m or d is not None for m, d in zip(mapped, dims, strict=True))
        result = bind(many, *both, mapped=now, **how)
        return result.reshape(outer, inner, *result.shape[1:]), 0

    ad.primitive_jvps[many], ad.primitive_transposes[many] = jvp, transpose
    batching.primitive_batchers[many] = batch
    return many


def _impl_of_many(impl: Callable, *args, at: Platform, mapped: tuple[bool, ...], **how) -> jax.Array:
    """Members side by side as long as all their pairs are formed in one step; else some after the other."""
    _, first, second, *_ = _first(args, mapped)
    members = args[mapped.index(True)].shape[0]
    room = at.pairs * TILE**2 if at.members_together else 1
    together = max(1, room // (first.shape[0] * second.shape[0]))
    rounds = -(-members // together)
    together = -(-members // rounds)
    shared = at._replace(pairs=max(1, at.pairs // together), listed=max(1, at.listed // together))
    one = partial(impl, at=shared, **how)

    def member(moving):
        moving = iter(moving)
        return one(*(next(moving) if m else a for a, m in zip(args, mapped, strict=True)))

    moving = [a for a, m in zip(args, mapped, strict=True) if m]
    if rounds == 1:
        return jax.vmap(member)(moving)
    return jax.lax.map(member, moving, batch_size=together if together > 1 else None)


def _first(args: tuple, mapped: tuple[bool, ...]) -> list[ShapedArray]:
    """The types of the arguments of one member."""
    return [ShapedArray(a.shape[1:] if m else a.shape, a.dtype) for a, m in zip(args, mapped, strict=True)]


def _axes(mapped: tuple[bool, ...]) -> list[int | None]:
    return [0 if m else None for m in mapped]


# --- several bandwidths, and tangents ------------------------------------------------------------------


def each_bandwidth(primitive: Primitive, *args: jax.Array, **how: int | float) -> jax.Array:
    """The sums of one bandwidth for each of several, the last argument [H]."""
    mapped = (*[False] * (len(args) - 1), True)
    return bind(_many[primitive], *args, mapped=mapped, **how)


def differentiate_one_bandwidth(primitive: Primitive, jvp: Callable) -> None:
    """Register a jvp rule written for one bandwidth; several are differentiated as many members."""

    def rule(primals, tangents, **how):
        if primals[-1].ndim == 0:
            return jvp(primals, tangents, **how)
        count, *primals = primals
        tangents = [ad.instantiate_zeros(t) for t in tangents[1:]]
        each = partial(each_bandwidth, primitive, count, **how)
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
