"""Queries over devices: the same sums on several GPUs, TPU cores or hosts, each with the same work.

A query costs what is near to it: in a dense region a hundred times what it does in a thin one. So queries are
not cut by their number. Pieces of nearby queries are dealt out by the pairs of tiles that they need, the
most expensive ones first and there and back again, as many to each device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from quests_jax.base import step_sizes
from quests_jax.base.array_checks import as_floats, check_bandwidth, check_rows, common_dtype
from quests_jax.base.defaults import DEFAULT_BANDWIDTH
from quests_jax.base.numerics import finite_rows
from quests_jax.base.precision import follows_dtype
from quests_jax.information.sums.exponents import base_and_scale
from quests_jax.information.sums.log_sums import within_reach
from quests_jax.information.sums.near_tile_pairs import active_pairs, map_bands, tiles_of


def over_devices(f: Callable[..., jax.Array], mesh: Mesh | None = None) -> Callable[..., jax.Array]:
    """Spread the queries of f(y, x, **options) over devices, by work; each holds the whole reference.

    For any f whose row i depends on row i of y alone: `log_kernel_sum`, `kernel_sum`, `delta_entropy`,
    `kernel_product`. The result is that of f up to rounding, and can be differentiated like f. It is compiled
    once for each shape and set of options. In a `jax.shard_map` of your own, checked or not, all measures and
    sums are right.

    Args:
      f: function of queries y [m, d] and a reference x [n, d] that returns shape [m, ...], or [H, m] for
        H bandwidths.
      mesh: one-dimensional mesh of devices, its axis explicit or not; all devices where not given.

    Returns:
      A function with the signature of f.

    >>> from quests_jax.information import delta_entropy
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> spread = over_devices(delta_entropy)
    >>> [round(float(each), 4) for each in spread(np.array([[0.0], [0.3]]), x, bandwidth=0.1)]
    [-0.6931, 3.8069]
    """
    mesh = Mesh(np.asarray(jax.devices()) if mesh is None else mesh.devices, ("rows",))  # an automatic axis
    rows, everywhere = PartitionSpec("rows"), PartitionSpec()

    @partial(jax.jit, static_argnames="several")
    def on_each(y: jax.Array, rest: tuple, options: dict, several: bool) -> jax.Array:
        place = dealt(y, rest[0], options.get("bandwidth", DEFAULT_BANDWIDTH), mesh.size)
        sums = jax.shard_map(
            lambda y, rest, options: f(y, *rest, **options),
            mesh=mesh,
            in_specs=(rows, everywhere, everywhere),
            out_specs=PartitionSpec(None, "rows") if several else rows,
        )(y[place], rest, options)
        back = jnp.zeros(len(y), jnp.int32).at[place].set(jnp.arange(len(place), dtype=jnp.int32))
        return sums[:, back] if several else sums[back]

    @follows_dtype
    def spread(y: ArrayLike, x: ArrayLike, *arrays: ArrayLike, **options: ArrayLike) -> jax.Array:
        y = check_rows("y", y)
        rest = check_rows("x", x, y.shape[1], empty=False), *(as_floats("values", each) for each in arrays)
        h = options.get("bandwidth")
        if h is not None:
            options["bandwidth"] = check_bandwidth(h, np.dtype(np.float64))
        if not len(y) or not y.shape[1]:
            return f(y, *rest, **options)
        whole = NamedSharding(mesh, everywhere)
        y, *rest = (a if isinstance(a, Tracer) else jax.device_put(a, whole) for a in (y, *rest))
        return on_each(y, tuple(rest), options, h is not None and np.ndim(h) == 1)

    return spread


def dealt(y: jax.Array, x: jax.Array, bandwidth: ArrayLike, n_devices: int) -> jax.Array:
    """Numbers of the rows of y for one device after the other, [n_devices · r]; the last row fills up.

    Pieces are runs of the order in which tiles are cut, at most a tile each.
    """
    each = -(-len(y) // (n_devices * step_sizes.TILE))  # pieces of a device
    size = -(-len(y) // (n_devices * each))
    order, work = work_of_rows(y, x, bandwidth)
    missing = n_devices * each * size - len(y)
    order = jnp.pad(order, (0, missing), mode="edge").reshape(-1, size)
    dearest = jnp.argsort(-jnp.pad(work, (0, missing)).reshape(-1, size).sum(axis=1)).reshape(each, n_devices)
    back = (jnp.arange(each) % 2 == 1)[:, None]
    return order[jnp.where(back, dearest[:, ::-1], dearest).T].reshape(-1)


def work_of_rows(y: jax.Array, x: jax.Array, bandwidth: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """The rows of y in the order of their tiles, [m], and how many tiles of x each one meets, [m]."""
    dtype = common_dtype(jnp.dtype(jnp.float32), common_dtype(y.dtype, x.dtype))
    y, x = (finite_rows(jax.lax.stop_gradient(rows).astype(dtype))[0] for rows in (y, x))
    h = jnp.asarray(jax.lax.stop_gradient(bandwidth), dtype)
    counts = jnp.array([len(y), len(x)], jnp.int32)
    query, reference = tiles_of(counts, y, x)
    base, scale = base_and_scale(h)
    shift = jnp.where(reference.mask > 0, jnp.zeros((), dtype), jnp.inf)

    def band(tile, exists):
        near = within_reach(query, tile, reference, None, shift, base, scale)
        return jnp.sum(near & active_pairs(query, tile, exists, reference), axis=1, dtype=jnp.int32)

    met = map_bands(band, len(query.mask), len(reference.mask), step_sizes.here())
    return query.order[: len(y)], jnp.repeat(met, step_sizes.TILE)[: len(y)]
