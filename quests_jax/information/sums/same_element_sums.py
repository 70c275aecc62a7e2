"""The kernel sums of `kernel_sums` with elements told apart: K_ij → δ(Z_i, Z_j) K_ij.

Rows of one element meet rows of that element only, so each sum is the same sum of one element after the
other, joined: exact, and faster the more elements there are. Masses of rows that are known come from one sum
of rows set apart by element. Sets that do not tell their elements apart, and bare arrays, are handed on as
they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from quests_jax.base.array_checks import (
    check_bandwidth,
    check_groups,
    check_row_numbers,
    check_structure_id,
    check_values,
    check_weights,
)
from quests_jax.base.defaults import DEFAULT_BANDWIDTH
from quests_jax.base.environments import Environments, apart, check_alike, elements_of, rows_of, some_rows
from quests_jax.base.precision import follows_dtype
from quests_jax.information.sums import kernel_sums
from quests_jax.information.sums.element_division import (
    Rows,
    check_sides,
    checked_rows,
    each_element,
    rows_of_elements,
    some_of,
)


@follows_dtype
def kernel_sum(
    y: Rows, x: Rows, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH, weights: ArrayLike | None = None
) -> jax.Array:
    """Σ_j w_j K(y_i, x_j) for each query, as the exponential of `log_kernel_sum`; shape [m].

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> qj.information.kernel_sum(x, x, bandwidth=0.1).round(4).tolist()
    [2.0, 2.0, 1.0]
    """
    return jnp.exp(log_kernel_sum(y, x, bandwidth=bandwidth, weights=weights))


@follows_dtype
def log_kernel_sum(
    y: Rows, x: Rows, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH, weights: ArrayLike | None = None
) -> jax.Array:
    """ln Σ_j w_j K(y_i, x_j), finite however far y_i is from every x_j of its element.

    Args:
      y: queries, environments or an array of shape [m, d], Å⁻¹.
      x: reference, environments or an array of shape [n, d], Å⁻¹.
      bandwidth: h in Å⁻¹, a number or shape [B] for several in one call.
      weights: w_j ≥ 0, shape [n]; 1 where not given.

    Returns:
      Shape [m], or [H, m] for several bandwidths; relative error of each sum below 1e-12 in float64 and
      about 1e-5 in float32, or eps·(r/h)² where that is more, r being the distance from y_i to the nearest.
      Where elements are told apart, −inf for an element that x does not hold.

    Raises:
      InputError: shapes that do not fit, an empty reference, a bandwidth that is not positive, or one set
        that tells its elements apart beside one that does not.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> qj.information.log_kernel_sum(np.array([[9.0]]), x, bandwidth=0.1).round(0).tolist()  # no underflow
    [-3200.0]
    """
    checked = checked_rows(check_weights, "weights", weights, x)

    def of(y: ArrayLike, x: ArrayLike, own: np.ndarray | slice) -> jax.Array:
        w = None if checked is None else checked[own]
        return kernel_sums.log_kernel_sum(y, x, bandwidth=bandwidth, weights=w)

    return each_element(of, y, x, bandwidth=bandwidth, missing=-jnp.inf, lead=np.shape(bandwidth))


@follows_dtype
def log_sum_of_others(
    x: Rows,
    group: ArrayLike,
    *,
    rows: ArrayLike | None = None,
    bandwidth: ArrayLike = DEFAULT_BANDWIDTH,
) -> jax.Array:
    """ln Σ_j K(x_i, x_j) over the rows j of other groups than that of i, shape [n] or [H, n].

    Groups are whole numbers, shape [n]; with the numbers of some `rows`, only these are queries, [m] or
    [H, m]. −inf where there is no other group with a row of that element. Finite otherwise, however far the
    others are: nothing is subtracted. Not differentiable.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> total = qj.information.log_sum_of_others(x, np.array([0, 1, 2]), bandwidth=0.1)
    >>> np.asarray(total)[:2].round(4).tolist()
    [0.0, 0.0]
    """
    groups = checked_rows(check_groups, "group", group, x)
    wanted = checked_rows(check_row_numbers, "rows", rows, x)

    def of(y: ArrayLike, x: ArrayLike, own: np.ndarray | slice) -> jax.Array:
        del y
        if isinstance(own, slice):
            return kernel_sums.log_sum_of_others(x, group, rows=rows, bandwidth=bandwidth)
        queries = None if wanted is None else np.searchsorted(own, wanted[np.isin(wanted, own)])
        return kernel_sums.log_sum_of_others(x, groups[own], rows=queries, bandwidth=bandwidth)

    y = x if wanted is None or elements_of(x) is None else some_rows(x, wanted)
    return each_element(of, y, x, bandwidth=bandwidth, missing=-jnp.inf, lead=np.shape(bandwidth))


@follows_dtype
def self_kernel_sum(
    x: Rows, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH, weights: ArrayLike | None = None
) -> jax.Array:
    """p_i = Σ_j w_j K(x_i, x_j), each pair formed once; shape [n], or [H, n] for several bandwidths.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> qj.information.self_kernel_sum(x, bandwidth=0.1).round(4).tolist()
    [2.0, 2.0, 1.0]
    """
    checked = checked_rows(check_weights, "weights", weights, x)

    def of(y: ArrayLike, x: ArrayLike, own: np.ndarray | slice) -> jax.Array:
        del y
        w = None if checked is None else checked[own]
        return kernel_sums.self_kernel_sum(x, bandwidth=bandwidth, weights=w)

    return each_element(of, x, x, bandwidth=bandwidth, missing=0.0, lead=np.shape(bandwidth))


@follows_dtype
def cross_kernel_sums(
    y: Rows, x: Rows, *, bandwidth: float = DEFAULT_BANDWIDTH
) -> tuple[jax.Array, jax.Array]:
    """Σ_j K(y_i, x_j) of each y, shape [m], and Σ_i K(y_i, x_j) of each x, shape [n], from the same pairs.

    What two blocks of a data set add to each other; with `self_kernel_sum` of the blocks themselves that is
    the kernel sum of data sets of any size. Not differentiable.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> onto_x, onto_y = qj.information.cross_kernel_sums(x[:1], x, bandwidth=0.1)
    >>> onto_x.round(4).tolist(), onto_y.round(4).tolist()
    ([2.0], [1.0, 1.0, 0.0])
    """
    check_sides(y, x, bandwidth)
    if elements_of(y) is None:
        return kernel_sums.cross_kernel_sums(rows_of(y), rows_of(x), bandwidth=bandwidth)
    of_y, of_x = np.zeros(len(y)), np.zeros(len(x))
    for mine, yours in rows_of_elements(y, x):
        if len(mine) and len(yours):
            sums = kernel_sums.cross_kernel_sums(some_of(y, mine), some_of(x, yours), bandwidth=bandwidth)
            of_y[mine], of_x[yours] = np.asarray(sums[0]), np.asarray(sums[1])
    return jnp.asarray(of_y), jnp.asarray(of_x)


@follows_dtype
def kernel_product(y: Rows, x: Rows, v: ArrayLike, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH) -> jax.Array:
    """Σ_j K(y_i, x_j) v_jc for values v of any sign, shape [n, c] to [m, c] (kernel regression).

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> qj.information.kernel_product(x, x, np.array([[1.0], [2.0], [3.0]]), bandwidth=0.1).round(4).tolist()
    [[3.0], [3.0], [3.0]]
    """
    checked = checked_rows(check_values, "v", v, x)

    def of(y: ArrayLike, x: ArrayLike, own: np.ndarray | slice) -> jax.Array:
        values = v if isinstance(own, slice) else checked[own]
        return kernel_sums.kernel_product(y, x, values, bandwidth=bandwidth)

    return each_element(of, y, x, bandwidth=bandwidth, missing=0.0, tail=np.shape(v)[1:])


@follows_dtype
def structure_masses(
    y: Rows,
    x: Rows,
    structure_id: ArrayLike,
    n_structures: int,
    *,
    bandwidth: ArrayLike = DEFAULT_BANDWIDTH,
) -> jax.Array:
    """Mass M_si = Σ_{j in structure s} K(y_i, x_j) of every structure at every query, shape [S, m].

    Args:
      y: queries, environments or an array of shape [m, d], Å⁻¹.
      x: environments of the structures, or an array of shape [n, d], Å⁻¹.
      structure_id: structure number of each row of x, ascending, shape [n].
      n_structures: S; structures without environments have mass 0.
      bandwidth: h in Å⁻¹.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> qj.information.structure_masses(x, x, np.array([0, 1, 1]), 2, bandwidth=0.1).round(4).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    numbers: Any = structure_id
    if elements_of(x) is not None:
        numbers = check_structure_id(structure_id, len(x), n_structures, ascending=False)
    y, x = _set_apart(y, x, bandwidth)
    if elements_of(y) is None:
        return kernel_sums.structure_masses(
            rows_of(y), rows_of(x), numbers, n_structures, bandwidth=bandwidth
        )

    def of(y: ArrayLike, x: ArrayLike, own: np.ndarray | slice) -> jax.Array:
        number = numbers if isinstance(own, slice) else numbers[own]
        return kernel_sums.structure_masses(y, x, number, n_structures, bandwidth=bandwidth)

    return each_element(of, y, x, bandwidth=bandwidth, missing=0.0, lead=(n_structures,))


@follows_dtype
def tiles_of_masses(
    y: Rows, x: Rows, structure_id: np.ndarray, n_structures: int, *, bandwidth: float, error: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`structure_masses` a tile of nearby queries at a time: their numbers [t], and their masses [S, t].

    In float32, with a relative error of about 5e-5. What is left out adds at most `error` to the sum of a
    query over all structures.

    >>> import numpy as np
    >>> import quests_jax as qj
    >>> x = np.array([[0.0], [0.0], [1.0]])
    >>> tiles = qj.information.tiles_of_masses(x, x, np.array([0, 1, 1]), 2, bandwidth=0.1, error=1e-6)
    >>> sum(masses[:, np.argsort(numbers)] for numbers, masses in tiles).round(3).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    y, x = (each.in_float64() if isinstance(each, Environments) else each for each in (y, x))
    y, x = (np.asarray(rows_of(rows)) for rows in _set_apart(y, x, bandwidth))
    yield from kernel_sums.tiles_of_masses(y, x, structure_id, n_structures, bandwidth=bandwidth, error=error)


def _set_apart(y: Rows, x: Rows, bandwidth: ArrayLike) -> tuple[Rows, Rows]:
    """Rows of different elements so far apart that their kernels are 0, for one program instead of one each.

    What is traced or of half precision stays as it is, and is summed element by element.
    """
    check_alike(y, x)
    traced = any(isinstance(value, Tracer) for value in (rows_of(y), rows_of(x), bandwidth))
    narrow = min(rows_of(y).dtype.itemsize, rows_of(x).dtype.itemsize) < 4
    if elements_of(y) is None or traced or narrow or np.ndim(bandwidth) or not len(x):
        return y, x
    h = float(check_bandwidth(bandwidth, np.dtype(float), several=False))
    sides = [each for each in (y, x) if isinstance(each, Environments)]
    of_y, of_x = (apart(each, h).astype(each.x.dtype) for each in sides)
    return of_x if y is x else of_y, of_x
