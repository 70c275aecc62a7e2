"""Three streaming sums as JAX primitives, closed under differentiation.

With s_ij = −|y_i − x_j|²/2h², row shifts a and column shifts b:

    product   P_ic = Σ_j exp(s_ij − a_i − b_j) v_jc
    log sum   L_i  = ln Σ_j exp(s_ij − b_j)
    self sum  p_i  = Σ_j w_j exp(s_ij),  y = x

Derivatives of each are again products, so gradients of any order, forward or reverse, stream as the
values do: memory O(n·d), never O(n·m). Primitives rather than `custom_vjp`, because the product must be
both differentiated and transposed; every rule below is the derivative of the line above it.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.extend.core
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.interpreters import ad, batching, mlir

from quests_jax.information.sums import dense, streaming


def _primitive(name: str, impl: Callable, shape: Callable) -> jax.extend.core.Primitive:
    """A primitive lowered from `impl`, whose last argument is the bandwidth.

    Under vmap it runs once per member; where the bandwidth alone is mapped and `impl` takes several,
    all share one pass over the distances.
    """
    primitive = jax.extend.core.Primitive(name)
    primitive.def_impl(jax.jit(impl))
    primitive.def_abstract_eval(lambda *args: ShapedArray(args[-1].shape + shape(*args), args[0].dtype))
    mlir.register_lowering(primitive, mlir.lower_fun(impl, multiple_results=False))

    def batch(args, dims):
        if (
            primitive in _SEVERAL_BANDWIDTHS
            and dims[-1] is not None
            and not any(d is not None for d in dims[:-1])
        ):
            if args[-1].ndim == 1:
                return primitive.bind(*args), 0
        moved = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(args, dims, strict=True)]
        mapped = [a for a, d in zip(moved, dims, strict=True) if d is not None]

        def one(members):
            members = iter(members)
            return primitive.bind(
                *(a if d is None else next(members) for a, d in zip(moved, dims, strict=True))
            )

        return jax.lax.map(one, mapped), 0

    batching.primitive_batchers[primitive] = batch
    return primitive


_SEVERAL_BANDWIDTHS: set[jax.extend.core.Primitive] = set()


def _one_bandwidth(primitive: jax.extend.core.Primitive, jvp: Callable) -> None:
    """Register a jvp rule written for one bandwidth; several are differentiated one after the other."""

    def rule(primals, tangents):
        if primals[-1].ndim == 0:
            return jvp(primals, tangents)
        tangents = [ad.instantiate_zeros(t) for t in tangents]
        each = lambda *args: jax.lax.map(lambda h: primitive.bind(*args[:-1], h), args[-1])  # noqa: E731
        return primitive.bind(*primals), jax.jvp(each, primals, tuple(tangents))[1]

    _SEVERAL_BANDWIDTHS.add(primitive)
    ad.primitive_jvps[primitive] = rule


def _by_size(small: Callable, large: Callable) -> Callable:
    """The dense sum where all pairs fit into the cache, the streaming one beyond."""

    def impl(*args):
        rows, columns = len(args[0]), len(args[1])  # x and its weights where y is x
        return (small if rows * columns <= dense.LARGEST else large)(*args)

    return impl


def _sum_tangents(rules: list[tuple[jax.Array | ad.Zero | None, Callable]], like: jax.Array) -> jax.Array:
    """Σ rule(tangent) over the tangents that are not symbolically zero."""
    total = jnp.zeros_like(like)
    for tangent, rule in rules:
        if tangent is not None and not isinstance(tangent, ad.Zero):
            total = total + rule(tangent)
    return total


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.sum(a * b, axis=-1)


# --- P_ic = Σ_j exp(s_ij − a_i − b_j) v_jc ------------------------------------------------------------

_product_p = _primitive(
    "shifted_kernel_product",
    _by_size(dense.product, streaming.product),
    lambda y, x, v, a, b, h: (y.shape[0], v.shape[1]),
)
product = _product_p.bind


def _product_jvp(primals, tangents):
    y, x, v, a, b, h = primals
    dy, dx, dv, da, db, dh = tangents
    value = product(*primals)
    channels = v.shape[1]

    def times(vectors):  # Σ_j E_ij v_jc u_j for vectors u_j, shape [m, c, e]
        spread = (v[:, :, None] * vectors[:, None, :]).reshape(len(x), -1)
        return product(y, x, spread, a, b, h).reshape(len(y), channels, -1)

    def by_y(dy):  # ds_ij = −(y_i − x_j)·dy_i / h²
        return (jnp.einsum("mce,me->mc", times(x), dy) - _dot(y, dy)[:, None] * value) / h**2

    def by_x(dx):  # ds_ij = (y_i − x_j)·dx_j / h²
        return (jnp.einsum("mce,me->mc", times(dx), y) - times(_dot(x, dx)[:, None])[..., 0]) / h**2

    def by_h(dh):  # ds_ij = |y_i − x_j|² dh / h³
        squared = _dot(y, y)[:, None] * value - 2 * jnp.einsum("mce,me->mc", times(x), y)
        return (squared + times(_dot(x, x)[:, None])[..., 0]) * dh / h**3

    rules = [(dy, by_y), (dx, by_x), (dv, lambda dv: product(y, x, dv, a, b, h))]
    rules += [(da, lambda da: -da[:, None] * value), (dh, by_h)]
    rules += [(db, lambda db: -product(y, x, v * db[:, None], a, b, h))]
    return value, _sum_tangents(rules, value)


def _product_transpose(cotangent, y, x, v, a, b, h):
    if isinstance(cotangent, ad.Zero):
        return (None,) * 6
    return None, None, product(x, y, cotangent, b, a, h), None, None, None


ad.primitive_jvps[_product_p] = _product_jvp
ad.primitive_transposes[_product_p] = _product_transpose

# --- L_i = ln Σ_j exp(s_ij − b_j) ---------------------------------------------------------------------

_log_sum_p = _primitive(
    "log_kernel_sum", _by_size(dense.log_sum, streaming.log_sum), lambda y, x, b, h: (y.shape[0],)
)
log_sum = _log_sum_p.bind


def _log_sum_jvp(primals, tangents):
    """DL = dP at a = L, where P = 1."""
    y, x, b, h = primals
    dy, dx, db, dh = tangents
    value = log_sum(*primals)
    at = (y, x, jnp.ones((len(x), 1), y.dtype), value, b, h)
    return value, _product_jvp(at, (dy, dx, None, None, db, dh))[1][:, 0]


_one_bandwidth(_log_sum_p, _log_sum_jvp)

# --- p_i = Σ_j w_j exp(s_ij) with y = x, by symmetry ---------------------------------------------------

_self_sum_p = _primitive(
    "self_kernel_sum", _by_size(dense.self_sum, streaming.self_sum), lambda x, w, h: (x.shape[0],)
)
self_sum = _self_sum_p.bind


def _unshifted(x, v, h):
    zero = jnp.zeros(len(x), x.dtype)
    return product(x, x, v, zero, zero, h)


def _tangent(x, w, dx, h):
    """Σ_j w_j K_ij (x_j − x_i)·(dx_i − dx_j) / h², from products."""
    channels = [w[:, None], w[:, None] * x, w[:, None] * dx, (w * _dot(x, dx))[:, None]]
    sums = _unshifted(x, jnp.concatenate(channels, axis=1), h)
    d = x.shape[1]
    total, by_x, by_dx, inner = sums[:, 0], sums[:, 1 : d + 1], sums[:, d + 1 : 2 * d + 1], sums[:, -1]
    return (_dot(dx, by_x) - _dot(x, dx) * total + _dot(x, by_dx) - inner) / h**2


def _force(x, w, g, h):
    """Σ_j K_kj (g_k w_j + g_j w_k)(x_j − x_k) / h², from products; the transpose of `_tangent` in dx."""
    channels = [w[:, None], g[:, None], w[:, None] * x, g[:, None] * x]
    sums = _unshifted(x, jnp.concatenate(channels, axis=1), h)
    d = x.shape[1]
    by_w = sums[:, 2 : d + 2] - x * sums[:, :1]
    by_g = sums[:, d + 2 :] - x * sums[:, 1:2]
    return (g[:, None] * by_w + w[:, None] * by_g) / h**2


_tangent_p = _primitive("self_kernel_tangent", _tangent, lambda x, w, dx, h: (x.shape[0],))
_force_p = _primitive(
    "self_kernel_force", _by_size(dense.self_force, streaming.self_force), lambda x, w, g, h: x.shape
)


def _self_sum_jvp(primals, tangents):
    x, w, h = primals
    dx, dw, dh = tangents
    value = self_sum(*primals)

    def by_h(dh):
        sums = _unshifted(x, w[:, None] * jnp.concatenate([x, _dot(x, x)[:, None]], axis=1), h)
        return (_dot(x, x) * value - 2 * _dot(x, sums[:, :-1]) + sums[:, -1]) * dh / h**3

    rules = [(dx, lambda dx: _tangent_p.bind(x, w, dx, h)), (dh, by_h)]
    rules += [(dw, lambda dw: _unshifted(x, dw[:, None], h)[:, 0])]
    return value, _sum_tangents(rules, value)


_one_bandwidth(_self_sum_p, _self_sum_jvp)


def _jvp_of(primitive, formula):
    def rule(primals, tangents):
        tangents = [ad.instantiate_zeros(t) for t in tangents]
        return primitive.bind(*primals), jax.jvp(formula, primals, tuple(tangents))[1]

    ad.primitive_jvps[primitive] = rule


def _transpose_to(primitive, other):
    def rule(cotangent, x, w, linear, h):
        if isinstance(cotangent, ad.Zero):
            return (None,) * 4
        return None, None, other.bind(x, w, cotangent, h), None

    ad.primitive_transposes[primitive] = rule


_jvp_of(_tangent_p, _tangent)
_jvp_of(_force_p, _force)
_transpose_to(_tangent_p, _force_p)
_transpose_to(_force_p, _tangent_p)
