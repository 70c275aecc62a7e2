"""Rows over devices: the same sums on several GPUs, TPU cores or hosts. A wrapper, not an algorithm."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jax.typing import ArrayLike


def over_devices(f: Callable[..., jax.Array], mesh: Mesh | None = None) -> Callable[..., jax.Array]:
    """Spread the queries of f(y, x, **options) over devices; each holds the whole reference.

    For any f whose row i depends on row i of y alone: `log_kernel_sum`, `kernel_sum`, `delta_entropy`,
    `kernel_product`. The result is that of f up to rounding, and can be differentiated like f.

    Args:
      f: function of queries y [m, d] and a reference x [n, d] that returns shape [m, ...].
      mesh: one-dimensional mesh of devices; all devices where not given.

    Returns:
      A function with the signature of f.
    """
    mesh = Mesh(np.asarray(jax.devices()), ("rows",)) if mesh is None else mesh
    rows, everywhere = PartitionSpec(*mesh.axis_names), PartitionSpec()

    def spread(y: ArrayLike, x: ArrayLike, *arrays: ArrayLike, **options) -> jax.Array:
        y = jnp.asarray(y)
        padded = jnp.pad(y, ((0, -len(y) % mesh.size), (0, 0)), mode="edge")
        specs = (rows, everywhere, *[everywhere] * len(arrays))
        each = jax.shard_map(
            lambda y, *rest: f(y, *rest, **options),
            mesh=mesh,
            in_specs=specs,
            out_specs=rows,
            check_vma=False,  # the streaming loops have trip counts of their own on every device
        )
        return jax.jit(each)(padded, jnp.asarray(x), *map(jnp.asarray, arrays))[: len(y)]

    return spread
