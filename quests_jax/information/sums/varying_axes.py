"""Axes of devices: in a `jax.shard_map` that checks it, JAX knows over which ones an array varies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray


def alike(*arrays: jax.Array) -> list[jax.Array]:
    """The arrays, all of them varying over every axis of devices that one of them varies over."""
    wanted = _varies(arrays)
    return [_varying(a, tuple(wanted - _varies([a]))) for a in arrays]


def varying_over(shape: tuple[int, ...], dtype: jnp.dtype, like: ShapedArray) -> ShapedArray:
    """The type of an array that varies over the devices that `like` does, which has one axis at most."""
    if not _varies([like]):
        return ShapedArray(shape, dtype)
    return like.update(shape=shape, dtype=dtype, weak_type=False)


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
