"""Checks on arrays that a user hands in: one line that names the argument, the row and what to do.

Values can be checked outside of `jax.jit` only; what is traced is checked for its shape and dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from quests_jax.base.checks import InputError, check_matrix

Rows = np.ndarray | jax.Array

FLOATS = ("float64", "float32", "float16", "bfloat16")


def as_floats(name: str, values: Any) -> Rows:
    """`values` as an array of one of `FLOATS`; whole numbers and lists become float64."""
    if isinstance(values, np.matrix):
        raise InputError(f"{name} is a np.matrix, which has rules of its own; give np.asarray({name}).")
    try:
        array = values if isinstance(values, (np.ndarray, jax.Array)) else np.asarray(values)
    except ValueError as reason:
        raise InputError(f"{name}: rows of different lengths; give one number per feature.") from reason
    if array.dtype.name in FLOATS:
        return _on_every_device(array)
    if array.dtype.kind in "iub":
        return array.astype(jnp.result_type(float) if isinstance(array, jax.Array) else np.float64)
    raise InputError(
        f"{name} holds {array.dtype.name} values; give real numbers of at most 64 bits, such as float64."
    )


def _on_every_device(array: Rows) -> Rows:
    """The array, whole on each device where it is sharded over an explicit axis of a mesh."""
    sharding = getattr(jax.typeof(array), "sharding", None) if isinstance(array, jax.Array) else None
    if sharding is None or not any(sharding.spec):
        return array
    return jax.sharding.reshard(
        array, jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
    )


def check_rows(name: str, x: Any, n_features: int | None = None, *, empty: bool = True) -> Rows:
    """Environments as an array [n, d] of floats, all of them finite; with `empty`, n may be 0."""
    x = as_floats(name, x)
    check_matrix(name, x, n_features)
    if not all(isinstance(size, int) for size in x.shape):
        raise InputError(
            f"{name}: has the symbolic shape {x.shape}; export a program for each shape of numbers."
        )
    if not empty and not len(x):
        raise InputError(f"{name}: holds no environments; give at least one.")
    bad = not_finite(x)
    if len(bad):
        raise InputError(
            f"{name}: environment {bad[0]} holds a value that is not finite; remove or repair it."
        )
    return x


def check_bandwidth(bandwidth: Any, dtype: jnp.dtype, *, several: bool = True) -> Rows:
    """h as an array of `dtype`: one positive number or, where allowed, some in an array [H]."""
    h = as_floats("bandwidth", bandwidth)
    if h.ndim > several or not h.size:
        shape = "a number or an array [H] of some" if several else "one number"
        raise InputError(f"bandwidth must be {shape}, got shape {h.shape}.")
    if known(h):
        values = np.asarray(h, np.float64).reshape(-1)
        for value in values:
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"bandwidth must be a positive number, got {value}.")
        smallest = float(np.sqrt(jnp.finfo(dtype).tiny))
        if not (values.min() > smallest and values.max() < 1 / smallest):
            raise InputError(f"bandwidth {values.min():g} is out of the range of {jnp.dtype(dtype).name}.")
    return h.astype(dtype)


def check_weights(name: str, weights: Any, n: int) -> Rows:
    """Weights as an array [n] of floats, finite and not negative."""
    weights = as_floats(name, weights)
    if weights.shape != (n,):
        raise InputError(f"{name}: expected {n} numbers, one per environment, got shape {weights.shape}.")
    if known(weights):
        bad = np.flatnonzero(~(np.isfinite(host(weights)) & (host(weights) >= 0)))
        if len(bad):
            value = host(weights)[bad[0]]
            raise InputError(f"{name}: number {bad[0]} is {value}; weights must be finite and at least 0.")
    return weights


def check_values(name: str, values: Any, n: int) -> Rows:
    """Values of any sign as an array [n, c] of floats, all finite."""
    values = as_floats(name, values)
    if values.ndim != 2 or values.shape[0] != n:
        raise InputError(f"{name}: expected shape [{n}, c], a row per environment, got {values.shape}.")
    bad = not_finite(values)
    if len(bad):
        raise InputError(f"{name}: row {bad[0]} holds a value that is not finite; remove or repair it.")
    return values


def check_groups(name: str, numbers: Any, n: int) -> np.ndarray:
    """Whole numbers [n], one per environment, in any order."""
    numbers = np.asarray(numbers)
    if numbers.shape != (n,) or numbers.dtype.kind not in "iu":
        raise InputError(
            f"{name}: expected {n} whole numbers, one per environment, got {numbers.dtype.name} of shape "
            f"{numbers.shape}."
        )
    return numbers


def check_row_numbers(name: str, rows: Any, n: int) -> np.ndarray:
    """Numbers of some of n rows, or a mask of them, as numbers [m]."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise InputError(f"{name}: expected numbers of rows, got {rows.dtype.name} of shape {rows.shape}.")
    if rows.size and not (rows.min() >= 0 and rows.max() < n):
        raise InputError(f"{name}: expected numbers from 0 to {n - 1}, got {rows.min()} to {rows.max()}.")
    return rows.astype(np.int64)


def check_structure_id(
    numbers: Any, n: int, n_structures: int | None = None, *, ascending: bool = True
) -> np.ndarray:
    """Structure numbers [n] as int32: from 0 on, below `n_structures` where given, and ascending if so."""
    numbers = check_groups("structure_id", numbers, n)
    if not n:
        return numbers.astype(np.int32)
    falls = np.flatnonzero(numbers[1:] < numbers[:-1]) if ascending else []
    if len(falls) or numbers.min() < 0:
        where = int(falls[0]) + 1 if len(falls) else int(numbers.argmin())
        order = "be ascending and " if ascending else ""
        raise InputError(
            f"structure_id must {order}start at 0 or above, see environment {where}; sort the rows first."
        )
    limit = np.iinfo(np.int32).max if n_structures is None else n_structures
    if int(numbers.max()) >= limit:
        raise InputError(f"structure_id goes up to {numbers.max()}, but n_structures is {limit}.")
    return numbers.astype(np.int32)


def common_dtype(one: jnp.dtype, other: jnp.dtype) -> jnp.dtype:
    """The dtype that holds both: the wider one, float32 for the two kinds of half precision."""
    if one == other:
        return one
    widest = max(one, other, key=lambda dtype: dtype.itemsize)
    return widest if widest.itemsize > 2 else jnp.dtype(jnp.float32)


def known(x: Any) -> bool:
    """Whether the values of an array are there to be looked at: not traced, and on this process."""
    return not isinstance(x, Tracer) and (isinstance(x, np.ndarray) or x.is_fully_addressable)


def host(x: Rows) -> np.ndarray:
    """The array in the memory of the host."""
    return np.asarray(x)


def uncompiled(f: Callable[[Any], Any], x: jax.Array) -> jax.Array:
    """f(x) for indexing and the like; by NumPy on one CPU: no program for each shape."""
    if isinstance(x, Tracer) or jax.device_count() > 1 or jax.default_backend() != "cpu":
        return f(x)
    return jax.device_put(f(host(x)))


def not_finite(x: Rows) -> np.ndarray:
    """Numbers of the rows of a matrix that hold a value that is not finite; none where it is traced."""
    if not known(x) or not x.size:
        return np.zeros(0, int)
    values = np.asarray(x, np.float32) if x.dtype.itemsize < 4 else host(x)
    if np.isfinite(values.max()) and np.isfinite(values.min()):  # both are NaN where anything is
        return np.zeros(0, int)
    return np.flatnonzero(~np.isfinite(values).all(axis=1))
