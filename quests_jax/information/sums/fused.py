"""A kernel of its own for accelerators: distance, exponential and weighted sum without a tile in memory.

XLA writes the products of a batch of tiles to memory and reads them to sum the exponentials. Here a block of
rows stays where it is computed: for each pair of tiles, and each block of rows of the first,

    P_tc = Σ_s q_ts^k exp(s_ts − a_t − b_s) V_sc

is summed over blocks of the second. With `steep` the factor is that of a derivative (see `steepness`).
Written in Pallas; it is interpreted on a CPU, where it is only for tests.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from quests_jax.information.sums.exponents import squared_distance, steepness

BLOCK = 64  # rows that are kept at a time
NARROWEST = 16  # columns of a product


def weighted_kernels(
    a: jax.Array,
    b: jax.Array,
    values: jax.Array,
    shifts: tuple[jax.Array, jax.Array] | None = None,
    *,
    ratios: jax.Array | None = None,
    groups: tuple[jax.Array, jax.Array] | None = None,
    own: jax.Array | None = None,
    power: int = 0,
    steep: bool = False,
    how: str = "compiled",
) -> jax.Array:
    """Sums of kernels of pairs of tiles with values, shape [H, p, t, c].

    Args:
      a: rows of the first tiles in units of the bandwidth, from a center near to them, shape [p, t, d].
      b: rows of the second tiles from the same centers, shape [p, s, d].
      values: V, shape [p, s, c].
      shifts: of the exponents by rows, infinite where there is none, shapes [p, t] and [p, s].
      ratios: factors of the exponents, (base/h)² of each bandwidth, shape [H]; 1 where not given.
      groups: numbers of rows, shapes [p, t] and [p, s]; rows of one group do not meet.
      own: pairs of a tile with itself, whose rows are at distance 0 from themselves, shape [p].
      power: k.
      steep: whether the factor is q^k − 2k q^(k−1) in place of q^k.
      how: "compiled", or "interpreted" on a CPU.
    """
    from jax.experimental import pallas as pl  # slow to import
    from jax.experimental.pallas import triton

    n_pairs, n_rows, _ = a.shape
    zero = jnp.zeros(a.shape[:2], a.dtype), jnp.zeros(b.shape[:2], a.dtype)
    shifts = zero if shifts is None else shifts
    ratios = jnp.ones(1, a.dtype) if ratios is None else ratios
    itself = jnp.zeros(n_pairs, jnp.int32) if own is None else own.astype(jnp.int32)
    apart = (jnp.full(zero[0].shape, -1, jnp.int32), jnp.full(zero[1].shape, -2, jnp.int32))
    apart = apart if groups is None else tuple(number.astype(jnp.int32) for number in groups)
    channels = values.shape[2]
    a, b, values = _filled(a), _filled(b), values if channels == 1 else _filled(values)
    block = min(BLOCK, n_rows)

    def of_rows(*shape: int):
        return pl.BlockSpec((1, block, *shape), lambda p, k: (p, k, *[0] * len(shape)))

    def of_pair(array: jax.Array):
        return pl.BlockSpec((1, *array.shape[1:]), lambda p, k: (p, *[0] * (array.ndim - 1)))

    everything = pl.BlockSpec(ratios.shape, lambda p, k: (0,))
    sums = pl.pallas_call(
        partial(_kernel, power=power, steep=steep),
        grid=(n_pairs, n_rows // block),
        in_specs=[
            of_rows(a.shape[2]),
            of_pair(b),
            of_pair(values),
            of_rows(),
            of_pair(shifts[1]),
            of_rows(),
            of_pair(apart[1]),
            of_pair(itself),
            everything,
        ],
        out_specs=pl.BlockSpec((len(ratios), 1, block, values.shape[2]), lambda p, k: (0, p, k, 0)),
        out_shape=jax.ShapeDtypeStruct((len(ratios), n_pairs, n_rows, values.shape[2]), a.dtype),
        interpret=how == "interpreted",
        compiler_params=triton.CompilerParams(),
    )(a, b, values, shifts[0], shifts[1], apart[0], apart[1], itself, ratios)
    return sums[..., :channels]


def _kernel(
    a_ref, b_ref, v_ref, shift_a, shift_b, group_a, group_b, own_ref, ratio_ref, out_ref, *, power, steep
):
    """One block of rows of one pair of tiles."""
    from jax.experimental import pallas as pl

    a = a_ref[0]
    block, n_ratios = a.shape[0], ratio_ref.shape[0]
    first = pl.program_id(1) * block
    factor = steepness if steep else squared_distance
    half = 0.5 * jnp.sum(a * a, axis=1)
    place = jax.lax.broadcasted_iota(jnp.int32, (block, block), 0) + first
    column = jax.lax.broadcasted_iota(jnp.int32, (block, block), 1)

    def add(number, totals):
        rows = pl.ds(number * block, block)
        b, v = b_ref[0, rows, :], v_ref[0, rows, :]
        inner = jax.lax.dot_general(a, b, (((1,), (1,)), ((), ())), precision="highest")
        exponent = jnp.minimum(inner - half[:, None] - 0.5 * jnp.sum(b * b, axis=1)[None], 0)
        itself = (own_ref[0] > 0) & (place == column + number * block)
        exponent = jnp.where(itself, 0, exponent)
        shift = shift_a[0][:, None] + shift_b[0, rows][None]
        same = group_a[0][:, None] == group_b[0, rows][None]
        shift = jnp.where(same, jnp.inf, shift)
        scaled = [exponent * ratio_ref[h] for h in range(n_ratios)]
        kernels = [factor(s, power) * jnp.exp(s - shift) for s in scaled]
        return tuple(total + _times(kernel, v) for total, kernel in zip(totals, kernels, strict=True))

    start = tuple(jnp.zeros((block, v_ref.shape[2]), a.dtype) for _ in range(n_ratios))
    totals = jax.lax.fori_loop(0, b_ref.shape[1] // block, add, start)
    for h in range(n_ratios):
        out_ref[h, 0] = totals[h]


def _times(kernel: jax.Array, v: jax.Array) -> jax.Array:
    if v.shape[1] == 1:
        return jnp.sum(kernel * v.T, axis=1, keepdims=True)
    return jnp.dot(kernel, v, precision="highest")


def _filled(rows: jax.Array) -> jax.Array:
    """Columns up to a power of two, with zeros, as blocks must be."""
    wide = max(NARROWEST, 1 << (rows.shape[2] - 1).bit_length())
    return jnp.pad(rows, ((0, 0), (0, 0), (0, wide - rows.shape[2])))
