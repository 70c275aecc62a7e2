"""Kernels of their own for accelerators: distance, exponential and sum without a tile in memory.

XLA writes the products of a batch of tiles to memory and reads them to sum the exponentials. Here a block of
rows of the first tile of a pair stays where it is computed, and meets one block of rows of the second after
the other. Exponents s_ts = −|a_t − b_s|²/2h² come from products of rows, in float64 where those of float32
err by too much. Written in Pallas; it is interpreted on a CPU, where it is only for tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from quests_jax.information.sums.exponents import squared_distance

BLOCK = 64  # rows that are kept at a time
NARROWEST = 16  # columns of a product
Carry = TypeVar("Carry")


class TilePairs(NamedTuple):
    """Rows of pairs of tiles: from a center near to them in units of the bandwidth, or for care as given."""

    a: jax.Array  # [p, t, d]
    b: jax.Array  # [p, s, d]
    care: tuple[jax.Array, jax.Array] | None  # the centers [p, 1, d] and h [1] where float64 is asked for


def weighted_kernels(
    rows: TilePairs,
    values: jax.Array,
    shifts: tuple[jax.Array, jax.Array],
    *,
    power: int,
    how: str = "compiled",
) -> jax.Array:
    """Σ_s q_ts^k exp(s_ts − α_t − β_s) V_sc, shape [p, t, c].

    Args:
      rows: of the tiles.
      values: V, shape [p, s, c].
      shifts: α and β, infinite where there is no row, shapes [p, t] and [p, s].
      power: k.
      how: "compiled", or "interpreted" on a CPU.
    """
    wide = _filled(values)

    def kernel(meet, shift_a, v_ref, shift_b, out_ref):
        def add(exponent, at, total):
            shift = shift_a[0][:, None] + shift_b[0, at][None]
            weight = squared_distance(exponent, power) * jnp.exp(exponent - shift)
            return total + jnp.dot(weight, v_ref[0, at, :], precision=_precision(weight, how))

        out_ref[0] = meet(add, jnp.zeros(out_ref.shape[1:], out_ref.dtype))

    sums = _call(kernel, rows, [shifts[0]], [wide, shifts[1]], [], [((), wide.shape[2:])], how)
    return sums[0][..., : values.shape[2]]


def kernels_both_ways(
    rows: TilePairs,
    weights: tuple[jax.Array, jax.Array],
    ratios: jax.Array,
    own: jax.Array,
    *,
    power: int,
    how: str = "compiled",
) -> tuple[jax.Array, jax.Array]:
    """Σ_s q_ts^k exp(s_ts) w_s and Σ_t q_ts^k exp(s_ts) w_t from the same pairs, [H, p, t] and [H, p, s].

    Args:
      rows: of the tiles.
      weights: w_t and w_s, 0 in the padding, shapes [p, t] and [p, s].
      ratios: factors of the exponents, (base/h)² of each bandwidth, shape [H].
      own: pairs of a tile with itself, whose rows are at distance 0 from themselves, shape [p].
      power: k.
      how: "compiled", or "interpreted" on a CPU.
    """
    from jax.experimental import pallas as pl  # slow to import

    n_ratios = len(ratios)

    def kernel(meet, w_a, w_b, own_ref, ratio_ref, to_a, to_b):
        block = w_a.shape[1]
        place = jax.lax.broadcasted_iota(jnp.int32, (block, block), 0) + pl.program_id(1) * block
        column = jax.lax.broadcasted_iota(jnp.int32, (block, block), 1)

        def add(exponent, at, totals):
            exponent = jnp.where((own_ref[0] > 0) & (place == column + at.start), 0, exponent)
            found = []
            for h in range(n_ratios):
                scaled = exponent * ratio_ref[h]
                weight = squared_distance(scaled, power) * jnp.exp(scaled)
                to_b[h, 0, 0, at] = jnp.sum(weight * w_a[0][:, None], axis=0)
                found.append(totals[h] + jnp.sum(weight * w_b[0, at][None], axis=1))
            return tuple(found)

        start = tuple(jnp.zeros(block, to_a.dtype) for _ in range(n_ratios))
        totals = meet(add, start)
        for h in range(n_ratios):
            to_a[h, 0] = totals[h]

    given = [weights[1], own.astype(jnp.int32)], [ratios], [((n_ratios,), ()), ((n_ratios,), None)]
    to_a, to_b = _call(kernel, rows, [weights[0]], *given, how)
    return to_a, to_b.sum(axis=2)


def log_kernels(
    rows: TilePairs,
    shift: jax.Array,
    ratios: jax.Array,
    groups: tuple[jax.Array, jax.Array] | None,
    *,
    how: str = "compiled",
) -> tuple[jax.Array, jax.Array]:
    """The largest of the terms r s_ts − β_s, and the sum of their exponentials in its units, [H, p, t] each.

    Args:
      rows: of the tiles.
      shift: β, infinite where there is no row, shape [p, s].
      ratios: r, (base/h)² of each bandwidth, shape [H].
      groups: numbers of rows, shapes [p, t] and [p, s]; rows of one group do not meet.
      how: "compiled", or "interpreted" on a CPU.
    """
    n_ratios, apart = len(ratios), groups is not None
    none = jnp.zeros(rows.a.shape[:2], jnp.int32), jnp.zeros(rows.b.shape[:2], jnp.int32)
    of_a, of_b = none if groups is None else groups
    lowest = float(jnp.finfo(rows.a.dtype).min) / 4

    def kernel(meet, group_a, shift_b, group_b, ratio_ref, top_ref, total_ref):
        def add(exponent, at, state):
            beta = shift_b[0, at][None]
            if apart:
                beta = jnp.where(group_a[0][:, None] == group_b[0, at][None], jnp.inf, beta)
            found = []
            for h, (top, total) in enumerate(state):
                term = exponent * ratio_ref[h] - beta
                now = jnp.maximum(top, jnp.max(term, axis=1))
                fresh = jnp.sum(jnp.exp(term - now[:, None]), axis=1)
                found.append((now, total * jnp.exp(top - now) + fresh))
            return tuple(found)

        block = group_a.shape[1]
        start = jnp.full(block, lowest, top_ref.dtype), jnp.zeros(block, top_ref.dtype)
        for h, (top, total) in enumerate(meet(add, (start,) * n_ratios)):
            top_ref[h, 0], total_ref[h, 0] = top, total

    outs = [((n_ratios,), ())] * 2
    top, total = _call(
        kernel, rows, [of_a.astype(jnp.int32)], [shift, of_b.astype(jnp.int32)], [ratios], outs, how
    )
    return top, total


# --- one program for each block of rows of the first tile of each pair --------------------------------


def _call(
    kernel: Callable[..., None],
    rows: TilePairs,
    of_a: Sequence[jax.Array],
    of_b: Sequence[jax.Array],
    of_all: Sequence[jax.Array],
    outs: Sequence[tuple[tuple[int, ...], tuple[int, ...] | None]],
    how: str,
) -> Sequence[jax.Array]:
    """`kernel` of `meet`, of references to what belongs to a block of a, to b or to all, and of the results.

    `meet(add, carry)` folds `add` of exponents, of the rows of b that they are of, and of the carry over all
    blocks of b. Results have leading axes, pairs, rows of a and more axes; or leading axes, pairs, blocks and
    rows of b.
    """
    from jax.experimental import pallas as pl  # slow to import
    from jax.experimental.pallas import triton

    (n_pairs, n_rows, _), n_columns = rows.a.shape, rows.b.shape[1]
    block = min(BLOCK, n_rows)
    a, b = _filled(rows.a), _filled(rows.b)
    center, h = ([], []) if rows.care is None else ([_filled(rows.care[0])], [rows.care[1]])

    def by_rows(array: Any) -> pl.BlockSpec:
        return pl.BlockSpec((1, block, *array.shape[2:]), lambda p, k: (p, k, *[0] * (array.ndim - 2)))

    def by_pair(array: Any) -> pl.BlockSpec:
        return pl.BlockSpec((1, *array.shape[1:]), lambda p, k: (p, *[0] * (array.ndim - 1)))

    def whole(array: Any) -> pl.BlockSpec:
        return pl.BlockSpec(array.shape, lambda p, k: (0,) * array.ndim)

    def result(lead: tuple[int, ...], more: tuple[int, ...] | None) -> tuple[Any, pl.BlockSpec]:
        tail, at = ((1, n_columns), (0,)) if more is None else ((block, *more), (0,) * len(more))
        size = (n_rows // block, n_columns) if more is None else (n_rows, *more)
        shape = jax.ShapeDtypeStruct((*lead, n_pairs, *size), a.dtype)
        return shape, pl.BlockSpec((*lead, 1, *tail), lambda p, k: (*[0] * len(lead), p, k, *at))

    def body(a_ref, b_ref, *refs):
        care, refs = refs[: len(center + h)], refs[len(center + h) :]

        def scaled(rows: jax.Array) -> jax.Array:
            if not care:
                return rows
            center, h = (ref[0].astype(jnp.float64) for ref in care)
            return (rows.astype(jnp.float64) - center) / h

        def meet(add: Callable[..., Carry], carry: Carry) -> Carry:
            of_a = scaled(a_ref[0])

            def step(number, carry):
                at = pl.ds(number * block, block)
                exponents = _from_products(of_a, scaled(b_ref[0, at, :]), how)
                return add(exponents.astype(a_ref.dtype), at, carry)

            return jax.lax.fori_loop(0, n_columns // block, step, carry)

        kernel(meet, *refs)

    shapes, specs = zip(*(result(*out) for out in outs), strict=True)
    inputs = [by_rows(a), by_pair(b), *map(by_pair, center), *map(whole, h)]
    inputs += [*map(by_rows, of_a), *map(by_pair, of_b), *map(whole, of_all)]
    return pl.pallas_call(
        body,
        grid=(n_pairs, n_rows // block),
        in_specs=inputs,
        out_specs=list(specs),
        out_shape=list(shapes),
        interpret=how == "interpreted",
        compiler_params=triton.CompilerParams(num_stages=1),  # more blocks at a time; 12 % faster on an H200
    )(a, b, *center, *h, *of_a, *of_b, *of_all)


def _from_products(a: jax.Array, b: jax.Array, how: str) -> jax.Array:
    """Exponents of a block from |a|² + |b|² − 2 a·b."""
    inner = jax.lax.dot_general(a, b, (((1,), (1,)), ((), ())), precision=_precision(a, how))
    halves = 0.5 * jnp.sum(a * a, axis=1)[:, None], 0.5 * jnp.sum(b * b, axis=1)[None]
    return jnp.minimum(inner - halves[0] - halves[1], 0)


def _precision(rows: jax.Array, how: str) -> Any:
    """Three products of TF32 for one of float32: the matrix units of a GPU know no other that is as exact."""
    three = rows.dtype == jnp.float32 and how == "compiled"
    return jax.lax.DotAlgorithmPreset.TF32_TF32_F32_X3 if three else "highest"


def _filled(rows: jax.Array) -> jax.Array:
    """Columns up to a power of two, with zeros, as blocks must be."""
    wide = max(NARROWEST, 1 << (rows.shape[2] - 1).bit_length())
    return jnp.pad(rows, ((0, 0), (0, 0), (0, wide - rows.shape[2])))
