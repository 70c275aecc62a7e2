"""Rows over devices: the same sums on several GPUs, TPU cores or hosts. A wrapper, not an algorithm.

In a `jax.shard_map` that checks it, JAX knows of every array over which axes of devices it varies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.sharding import Mesh, PartitionSpec
from jax.typing import ArrayLike

from quests_jax.base.array_checks import as_floats, check_bandwidth, check_rows
from quests_jax.base.checks import InputError
from quests_jax.base.precision import follows_dtype


def alike(*arrays: jax.Array) -> list[jax.Array]:
    """The arrays, all of them varying over every axis of devices that one of them varies over."""
    wanted = _varies(arrays)
    return [_varying(a, tuple(wanted - _varies([a]))) for a in arrays]


def varying_over(shape: tuple[int, ...], dtype: jnp.dtype, like: ShapedArray) -> ShapedArray:
    """The type of an array that varies over the devices that `like` does, which has one axis at most."""
    if not _varies([like]):
        return ShapedArray(shape, dtype)
    return like.update(shape=shape, dtype=dtype, weak_type=False)


def refuse_varying(name: str, *arrays: jax.Array) -> None:
    """Raise `InputError` where an array varies over devices, for a function with loops of its own."""
    if _varies(arrays):
        raise InputError(f"{name} in a jax.shard_map needs check_vma=False; pass it, or call {name} outside.")


def _varying(array: jax.Array, axes: tuple[str, ...]) -> jax.Array:
    if not axes:
        return array
    if hasattr(jax.lax, "pcast"):
        return jax.lax.pcast(array, axes, to="varying")
    return jax.lax.pvary(array, axes)  # until 0.8  # pyright: ignore[reportAttributeAccessIssue]


def _varies(arrays: Sequence[Any]) -> frozenset:
    return frozenset().union(*(_axes(a if isinstance(a, ShapedArray) else jax.typeof(a)) for a in arrays))


def _axes(kind: Any) -> frozenset:
    """Axes of devices that an array of a type varies over; `vma` until jax 0.9."""
    return kind.mat.varying if hasattr(kind, "mat") else getattr(kind, "vma", frozenset())


def over_devices(f: Callable[..., jax.Array], mesh: Mesh | None = None) -> Callable[..., jax.Array]:
    """Spread the queries of f(y, x, **options) over devices; each holds the whole reference.

    For any f whose row i depends on row i of y alone: `log_kernel_sum`, `kernel_sum`, `delta_entropy`,
    `kernel_product`. The result is that of f up to rounding, and can be differentiated like f. It is compiled
    once for each shape and set of options. In a `jax.shard_map` of your own, measures and sums that can be
    differentiated are right with `check_vma=True` too; the others ask for `check_vma=False`.

    Args:
      f: function of queries y [m, d] and a reference x [n, d] that returns shape [m, ...], or [H, m] for
        H bandwidths.
      mesh: one-dimensional mesh of devices; all devices where not given.

    Returns:
      A function with the signature of f.

    >>> from quests_jax.information import delta_entropy
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> spread = over_devices(delta_entropy)
    >>> [round(float(each), 4) for each in spread(np.array([[0.0], [0.3]]), x, bandwidth=0.1)]
    [-0.6931, 3.8069]
    """
    mesh = Mesh(np.asarray(jax.devices()), ("rows",)) if mesh is None else mesh
    rows, everywhere = PartitionSpec(*mesh.axis_names), PartitionSpec()

    @partial(jax.jit, static_argnames="several")
    def on_each(y: jax.Array, rest: tuple, options: dict, several: bool) -> jax.Array:
        return jax.shard_map(
            lambda y, rest, options: f(y, *rest, **options),
            mesh=mesh,
            in_specs=(rows, everywhere, everywhere),
            out_specs=PartitionSpec(None, *mesh.axis_names) if several else rows,
            check_vma=False,  # the streaming loops have trip counts of their own on every device
        )(y, rest, options)

    @follows_dtype
    def spread(y: ArrayLike, x: ArrayLike, *arrays: ArrayLike, **options: ArrayLike) -> jax.Array:
        y = check_rows("y", y)
        rest = check_rows("x", x, y.shape[1]), *(as_floats("values", each) for each in arrays)
        h = options.get("bandwidth")
        several = h is not None and np.ndim(h) == 1
        if h is not None:
            options["bandwidth"] = check_bandwidth(h, np.dtype(np.float64))
        missing = -len(y) % mesh.size
        padded = jnp.pad(jnp.asarray(y), ((0, missing), (0, 0)), mode="edge" if len(y) else "constant")
        sums = on_each(padded, rest, options, several)
        return sums[:, : len(y)] if several else sums[: len(y)]

    return spread
