"""Precision: what is computed follows the dtype of the input, whatever the process has chosen for JAX."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec, TypeVar

import jax
import jax.experimental

P = ParamSpec("P")
T = TypeVar("T")


def double_precision() -> AbstractContextManager[None]:
    """A context in which float64 is there, in this thread: arrays that are float32 stay float32."""
    home = jax if hasattr(jax, "enable_x64") else jax.experimental  # until 0.7
    return home.enable_x64(True)  # pyright: ignore[reportAttributeAccessIssue]


def follows_dtype(f: Callable[P, T]) -> Callable[P, T]:
    """Let a function return float64 for float64, also where `jax_enable_x64` is off.

    Arrays of float64 and lists are computed in float64, arrays of float32 in float32. A generator is
    in double precision for each of its steps, and not between them.
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
        with double_precision():
            return f(*args, **kwargs)

    return computed
