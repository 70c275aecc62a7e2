"""Precision: what is computed follows the dtype of the input, whatever the process has chosen for JAX.

Where `jax_enable_x64` is off, float64 results are NumPy arrays: JAX has none then, and a float64 array of JAX
is cut to float32 by its own methods. Where it is on, and for float32, results are arrays of JAX.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

import jax
import jax.experimental
import numpy as np
from jax.core import Tracer

P = ParamSpec("P")
T = TypeVar("T")


def double_precision() -> AbstractContextManager[None]:
    """A context in which float64 is there, in this thread: arrays that are float32 stay float32."""
    home = jax if hasattr(jax, "enable_x64") else jax.experimental  # until 0.7
    return home.enable_x64(True)  # pyright: ignore[reportAttributeAccessIssue]


def follows_dtype(f: Callable[P, T]) -> Callable[P, T]:
    """Let a function return float64 for float64, also where `jax_enable_x64` is off.

    Arrays of float64 and lists are computed in float64, arrays of float32 in float32. A generator is
    in double precision for each of its steps, and not between them. See the module for the arrays that are
    returned.
    """
    if inspect.isgeneratorfunction(f):

        @functools.wraps(f)
        def stepped(*args: P.args, **kwargs: P.kwargs):
            items = f(*args, **kwargs)
            while True:
                with double_precision():
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item

        return stepped  # pyright: ignore[reportReturnType]  # a generator, as f

    @functools.wraps(f)
    def computed(*args: P.args, **kwargs: P.kwargs) -> T:
        if jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
            return f(*args, **kwargs)
        with double_precision():
            return _usable(f(*args, **kwargs))

    return computed


def _usable(result: Any) -> Any:
    """Arrays of 64 bits, also those in tuples, as NumPy's; what is traced and all else as it is."""
    if isinstance(result, tuple):
        parts = [_usable(part) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    if isinstance(result, jax.Array) and not isinstance(result, Tracer) and result.dtype.itemsize == 8:
        return np.asarray(result) if result.is_fully_addressable else result
    return result
