"""Three streaming sums as JAX primitives, closed under differentiation.

With s_ij = −|y_i − x_j|²/2h², q_ij = −2 s_ij, a power k, row shifts a and column shifts b:

    product   P_ic = Σ_j q_ij^k exp(s_ij − a_i − b_j) v_jc
    log sum   L_i  = ln Σ_j w_j exp(s_ij)
    self sum  p_i  = Σ_j w_j q_ij^k exp(s_ij),  y = x

Derivatives of each are again such sums, so gradients of any order, forward or reverse, stream as the
values do: memory O(n·d), never O(n·m). Primitives rather than `custom_vjp`, because the product must be
both differentiated and transposed; every rule below is the derivative of the line above it:

    d(q^k e^s) = (q^k − 2k q^(k−1)) e^s ds,     ds/dh = q/h,     dq/dh = −2q/h

so that a derivative by h is a sum of one more power, in which nothing cancels. The first argument of all is
the number of rows that are no padding: [2] of y and x, or [] where y is x. Rows that hold a number that
is not finite give NaN wherever a sum contains them, and nowhere else.
"""

from __future__ import annotations

import jax
import jax.extend.core
import jax.numpy as jnp
from jax.interpreters import ad

from quests_jax.base.numerics import finite_rows, scaled
from quests_jax.base.step_sizes import TILE
from quests_jax.information.sums import dense, log_sums, tile_by_tile
from quests_jax.information.sums.primitive_registration import (
    bind,
    differentiate_one_bandwidth,
    make_primitive,
    sum_tangents,
)


def _log_sum_by_size(counts, y, x, shift, h, *, at):
    """The dense sum also where one side is a single tile, of which no part can be skipped."""
    pairs = len(y) * len(x)
    if pairs > at.dense and min(len(y), len(x)) <= TILE <= at.dense:
        return dense.log_sum_in_parts(counts, y, x, shift, h, at=at)
    return dense.by_size(dense.log_sum, log_sums.log_sum)(counts, y, x, shift, h, at=at)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.sum(a * b, axis=-1)


# --- P_ic = Σ_j q_ij^k exp(s_ij − a_i − b_j) v_jc -----------------------------------------------------


def _product_impl(counts, y, x, v, a, b, h, *, power, at):
    """The product with the size of the values among the shifts: 0 · ∞ is 0 where a value is 0."""
    (y, bad_y), (x, bad_x) = finite_rows(y), finite_rows(x)
    bad_y, bad_x = bad_y | jnp.isnan(a), jnp.any(bad_x) | jnp.any(jnp.isnan(b)) | ~(h > 0)
    a, b = jnp.where(jnp.isnan(a), 0, a), jnp.where(jnp.isnan(b), 0, b)
    bad_v = ~jnp.all(jnp.isfinite(v), axis=0)
    v = jnp.where(jnp.isfinite(v), v, 0)
    largest = jnp.max(jnp.abs(v), axis=0, initial=0)
    scale = jnp.where(largest > 0, jnp.minimum(largest, 1), 1)  # what is skipped is relative to the values
    v = v / scale[None]
    size = jnp.max(jnp.abs(v), axis=1, initial=0)
    shift = jnp.where(size > 0, b - jnp.log(jnp.where(size > 0, size, 1)), jnp.inf)
    values = v / jnp.where(size > 0, size, 1)[:, None]
    sums = dense.by_size(dense.product, tile_by_tile.product)(
        counts, y, x, values, a, shift, h, power=power, at=at
    )
    return jnp.where(bad_y[:, None] | bad_x | bad_v[None], jnp.nan, sums * scale[None])


_product_p = make_primitive(
    "shifted_kernel_product",
    _product_impl,
    lambda counts, y, x, v, a, b, h, power: (y.shape[0], v.shape[1]),
)


def product(
    counts: jax.Array,
    y: jax.Array,
    x: jax.Array,
    v: jax.Array,
    a: jax.Array,
    b: jax.Array,
    h: jax.Array,
    *,
    power: int = 0,
) -> jax.Array:
    """Σ_j q_ij^k exp(s_ij − a_i − b_j) v_jc, shape [m, c]."""
    return bind(_product_p, counts, y, x, v, a, b, h, power=power)


def _product_jvp(primals, tangents, *, power):
    """Sums over the same pairs are channels of one product: every product forms its pairs anew."""
    counts, y, x, v, a, b, h = primals
    _, dy, dx, dv, da, db, dh = tangents
    channels, still = v.shape[1], dy is None or isinstance(dy, ad.Zero)

    def spread(vectors):  # v_jc u_j of vectors u_j, shape [n, c·e]
        return scaled(v[:, :, None], vectors[:, None, :]).reshape(len(x), -1)

    def steep(values, whole):  # Σ_j (q_ij^k − 2k q_ij^(k−1)) E_ij u_jc, where `whole` has q_ij^k
        if not power:
            return whole
        return whole - 2 * power * product(counts, y, x, values, a, b, h, power=power - 1)

    values = v if still else jnp.concatenate([v, spread(x)], axis=1)
    whole = product(counts, y, x, values, a, b, h, power=power)
    value = whole[:, :channels]

    def by_y(dy):  # ds_ij = (x_j − y_i)·dy_i / h²
        sums = steep(values, whole)
        of_x = sums[:, channels:].reshape(*value.shape, -1)
        return (_along(of_x, dy) - _dot(y, dy)[:, None] * sums[:, :channels]) / h**2

    def by_x(dx):  # ds_ij = (y_i − x_j)·dx_j / h²
        moved = spread(jnp.concatenate([dx, _dot(x, dx)[:, None]], axis=1))
        sums = steep(moved, product(counts, y, x, moved, a, b, h, power=power)).reshape(*value.shape, -1)
        return (_along(sums[..., :-1], y) - sums[..., -1]) / h**2

    def by_h(dh):
        more = product(counts, y, x, v, a, b, h, power=power + 1)
        return (more - 2 * power * value) * (dh / h)

    rules = [(dy, by_y), (dx, by_x), (dh, by_h)]
    rules += [(dv, lambda dv: product(counts, y, x, dv, a, b, h, power=power))]
    rules += [(da, lambda da: -da[:, None] * value)]
    rules += [(db, lambda db: -product(counts, y, x, scaled(v, db[:, None]), a, b, h, power=power))]
    return value, sum_tangents(rules, value)


def _along(vectors: jax.Array, direction: jax.Array) -> jax.Array:
    return jnp.einsum("mce,me->mc", vectors, direction, precision="highest")


def _product_transpose(cotangent, counts, y, x, v, a, b, h, *, power):
    if isinstance(cotangent, ad.Zero):
        return (None,) * 7
    return None, None, None, product(counts[::-1], x, y, cotangent, b, a, h, power=power), None, None, None


ad.primitive_jvps[_product_p] = _product_jvp
ad.primitive_transposes[_product_p] = _product_transpose

# --- L_i = ln Σ_j w_j exp(s_ij) -----------------------------------------------------------------------


def _log_sum_impl(counts, y, x, w, h, *, at):
    (y, bad_y), (x, bad_x) = finite_rows(y), finite_rows(x)
    positive = w > 0
    shift = jnp.where(positive, -jnp.log(jnp.where(positive, w, 1)), jnp.inf)
    sums = _log_sum_by_size(counts, y, x, shift, h, at=at)
    bad_y = bad_y.reshape((1,) * h.ndim + (-1,))
    return jnp.where(bad_y | jnp.any(bad_x) | ~jnp.all(w >= 0) | ~(h[..., None] > 0), jnp.nan, sums)


_log_sum_p = make_primitive("log_kernel_sum", _log_sum_impl, lambda counts, y, x, w, h: (y.shape[0],))


def log_sum(counts: jax.Array, y: jax.Array, x: jax.Array, w: jax.Array, h: jax.Array) -> jax.Array:
    """ln Σ_j w_j exp(s_ij), shape [m] or [H, m]."""
    return bind(_log_sum_p, counts, y, x, w, h)


def _log_sum_jvp(primals, tangents):
    """DL = dP/P at a = L, where P is 1 up to rounding: up to a factor, for rows that are very far away."""
    counts, y, x, w, h = primals
    _, dy, dx, dw, dh = tangents
    value, zero = log_sum(*primals), jnp.zeros_like(w)
    at = (counts, y, x, w[:, None], value, zero, h)
    dw = dw if isinstance(dw, ad.Zero) else dw[:, None]
    P, change = _product_jvp(at, (None, dy, dx, dw, None, None, dh), power=0)
    return value, (change / jax.lax.stop_gradient(jnp.where(P > 0, P, 1)))[:, 0]


differentiate_one_bandwidth(_log_sum_p, _log_sum_jvp)

# --- p_i = Σ_j w_j q_ij^k exp(s_ij) with y = x, by symmetry --------------------------------------------


def _self_sum_impl(count, x, w, h, *, power, at):
    x, bad = finite_rows(x)
    bad = jnp.any(bad) | ~jnp.all(jnp.isfinite(w)) | ~(h[..., None] > 0)
    w = jnp.where(jnp.isfinite(w), w, 0)
    sums = dense.by_size(dense.self_sum, tile_by_tile.self_sum)(count, x, w, h, power=power, at=at)
    return jnp.where(bad, jnp.nan, sums)


_self_sum_p = make_primitive("self_kernel_sum", _self_sum_impl, lambda count, x, w, h, power: (x.shape[0],))


def self_sum(count: jax.Array, x: jax.Array, w: jax.Array, h: jax.Array, *, power: int = 0) -> jax.Array:
    """Σ_j w_j q_ij^k exp(s_ij) for y = x, shape [n] or [H, n]."""
    return bind(_self_sum_p, count, x, w, h, power=power)


def _steep(count, x, v, h, power):
    """Σ_j (q_ij^k − 2k q_ij^(k−1)) K_ij v_jc."""
    zero, counts = jnp.zeros(len(x), x.dtype), jnp.stack([count, count])
    whole = product(counts, x, x, v, zero, zero, h, power=power)
    if not power:
        return whole
    return whole - 2 * power * product(counts, x, x, v, zero, zero, h, power=power - 1)


def _tangent(count, x, w, dx, h, *, power, at=None):  # products know the platform themselves
    """Σ_j w_j f(q_ij) K_ij (x_j − x_i)·(dx_i − dx_j) / h² with f of `_steep`, from products."""
    del at
    channels = [w[:, None], w[:, None] * x, w[:, None] * dx, (w * _dot(x, dx))[:, None]]
    sums = _steep(count, x, jnp.concatenate(channels, axis=1), h, power)
    d = x.shape[1]
    total, by_x, by_dx, inner = sums[:, 0], sums[:, 1 : d + 1], sums[:, d + 1 : 2 * d + 1], sums[:, -1]
    return (_dot(dx, by_x) - _dot(x, dx) * total + _dot(x, by_dx) - inner) / h**2


def _force(count, x, w, g, h, *, power):
    """Σ_j f(q_kj) K_kj (g_k w_j + g_j w_k)(x_j − x_k) / h², the transpose of `_tangent` in dx."""
    channels = [w[:, None], g[:, None], w[:, None] * x, g[:, None] * x]
    sums = _steep(count, x, jnp.concatenate(channels, axis=1), h, power)
    d = x.shape[1]
    by_w = sums[:, 2 : d + 2] - x * sums[:, :1]
    by_g = sums[:, d + 2 :] - x * sums[:, 1:2]
    return (g[:, None] * by_w + w[:, None] * by_g) / h**2


def _force_impl(count, x, w, g, h, *, power, at):
    x, bad = finite_rows(x)
    bad = jnp.any(bad) | ~jnp.all(jnp.isfinite(w) & jnp.isfinite(g)) | ~(h > 0)
    w, g = jnp.where(jnp.isfinite(w), w, 0), jnp.where(jnp.isfinite(g), g, 0)
    force = dense.by_size(dense.self_force, tile_by_tile.self_force)(count, x, w, g, h, power=power, at=at)
    return jnp.where(bad, jnp.nan, force)


_tangent_p = make_primitive("self_kernel_tangent", _tangent, lambda count, x, w, dx, h, power: (x.shape[0],))
_force_p = make_primitive("self_kernel_force", _force_impl, lambda count, x, w, g, h, power: x.shape)


def _self_sum_jvp(primals, tangents, *, power):
    count, x, w, h = primals
    _, dx, dw, dh = tangents
    value = self_sum(*primals, power=power)

    def by_h(dh):
        return (self_sum(count, x, w, h, power=power + 1) - 2 * power * value) * (dh / h)

    rules = [(dx, lambda dx: bind(_tangent_p, count, x, w, dx, h, power=power)), (dh, by_h)]
    rules += [(dw, lambda dw: self_sum(count, x, dw, h, power=power))]
    return value, sum_tangents(rules, value)


def _self_sum_transpose(cotangent, count, x, w, h, *, power):
    """The kernel is symmetric: the sum is its own transpose in the weights."""
    if isinstance(cotangent, ad.Zero):
        return (None,) * 4
    if h.ndim:
        each = lambda pair: self_sum(count, x, pair[0], pair[1], power=power)  # noqa: E731
        return None, None, jnp.sum(jax.vmap(each)((cotangent, h)), axis=0), None
    return None, None, self_sum(count, x, cotangent, h, power=power), None


differentiate_one_bandwidth(_self_sum_p, _self_sum_jvp)
ad.primitive_transposes[_self_sum_p] = _self_sum_transpose


def _jvp_of(primitive, formula):
    def rule(primals, tangents, *, power):
        count, *primals = primals
        tangents = [ad.instantiate_zeros(t) for t in tangents[1:]]
        at = lambda *args: formula(count, *args, power=power)  # noqa: E731
        return bind(primitive, count, *primals, power=power), jax.jvp(at, tuple(primals), tuple(tangents))[1]

    ad.primitive_jvps[primitive] = rule


def _transpose_to(primitive, other):
    def rule(cotangent, count, x, w, linear, h, *, power):
        if isinstance(cotangent, ad.Zero):
            return (None,) * 5
        return None, None, None, bind(other, count, x, w, cotangent, h, power=power), None

    ad.primitive_transposes[primitive] = rule


_jvp_of(_tangent_p, _tangent)
_jvp_of(_force_p, _force)
_transpose_to(_tangent_p, _force_p)
_transpose_to(_force_p, _tangent_p)
