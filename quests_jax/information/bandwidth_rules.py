"""Rules for the bandwidth h: two from the density of atoms, three from the environments themselves.

No rule is the right one: h says which differences matter. The rules by volume are those of QUESTS; the
others look for the h at which the data set stops telling its environments apart (elbow), at which unseen
environments are mostly known (novelty), or at which one part of the data best predicts another (likelihood).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.array_checks import check_rows
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, rows_of
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.wording import counted
from quests_jax.information.measures import delta_entropy, entropy
from quests_jax.information.sums.same_element_sums import Rows

DECADES = 6  # that a search spans below the extent of the data; beyond, rounding looks like a distance
GRID = 16  # bandwidths per pass over the distances
PASSES = 3  # each narrows the bracket by GRID − 1: to 0.6 % of h in the end
HALVINGS = 15  # of the bracket for the likelihood, in ln h: to 0.06 % of h


def gaussian_rule(volume: ArrayLike) -> np.ndarray:
    """h(V) = 0.0897141 exp[−(V/10.896)²/2] + 0.0119417 in Å⁻¹, [schwalbe-koda:25, (10)].

    V is the volume in Å³ per atom.

    >>> round(float(gaussian_rule(20.0)), 4)  # Å⁻¹, for 20 Å³ per atom
    0.0286
    """
    return 0.0897141 * np.exp(-0.5 * (_volume(volume) / 10.896) ** 2) + 0.0119417


def cutoff_rule(volume: ArrayLike) -> np.ndarray:
    """h(V) = 0.086164 f(ln² V) + 0.016 in Å⁻¹, [schwalbe-koda:25, (11)].

    f(z) = (1 − z²/11.61172²)², 0 beyond; V is the volume in Å³ per atom.

    >>> float(cutoff_rule(20.0)) > 0
    True
    """
    z = np.log(_volume(volume)) ** 2 / 11.61172
    return 0.086164 * np.where(z <= 1, (1 - z**2) ** 2, 0.0) + 0.016


@follows_dtype
def elbow_bandwidth(x: Rows, bandwidths: Sequence[float] | np.ndarray) -> tuple[float, np.ndarray]:
    """Bandwidth at which H(h)/ln n, from 1 to 0 in ln h, lies furthest below or above its chord.

    Args:
      x: environments, shape [n, d], Å⁻¹, n > 1.
      bandwidths: ascending, shape [H], Å⁻¹.

    Returns:
      The bandwidth, and H(h)/ln n at each bandwidth.

    Raises:
      InputError: fewer than two environments or three bandwidths, or bandwidths that do not ascend.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> best, shares = elbow_bandwidth(x, [0.01, 0.1, 1.0, 10.0])
    >>> 0.01 <= best <= 10.0, len(shares)
    (True, 4)
    """
    h = np.asarray(bandwidths, float)
    if np.shape(rows_of(x))[0] < 2 or len(h) < 3:
        raise InputError("an elbow needs two environments and three bandwidths at least.")
    if not np.all(np.diff(h) > 0):
        raise InputError("bandwidths: must ascend; sort them first.")
    unit, x = _in_units(x)
    share = np.asarray(entropy(x, bandwidth=h / unit)) / np.log(np.shape(rows_of(x))[0])
    place = (np.log(h) - np.log(h[0])) / (np.log(h[-1]) - np.log(h[0]))
    chord = share[0] + place * (share[-1] - share[0])
    return float(h[np.abs(share - chord).argmax()]), share


@follows_dtype
def novelty_bandwidth(y: Rows, x: Rows, *, novel: float = 0.01) -> float:
    """Bandwidth at which the share `novel` of y is not covered by x: δH(y|x) is at least the tolerance.

    The share falls as h grows, so the answer is unique up to the steps of 1/m. It scales with the
    environments: c·y and c·x have c times the bandwidth.

    Args:
      y: environments held out, shape [m, d], Å⁻¹.
      x: environments that are known, shape [n, d], Å⁻¹.
      novel: share in (0, 1).

    Raises:
      InputError: a share out of range, sets that do not fit, or so many copies that every bandwidth fits.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> novelty_bandwidth(x[::2], x[1::2], novel=0.1) > 0
    True
    """
    if not 0 < novel < 1:
        raise InputError(f"novel must be between 0 and 1, got {novel}.")
    unit, y, x = _in_units(y, x)
    low = 10.0**-DECADES
    high = 1.0
    for number in range(PASSES):
        h = np.geomspace(low, high, GRID)
        dH = np.asarray(delta_entropy(y, x, bandwidth=h))
        share = np.mean(dH >= overlap_tolerance(dH.dtype), axis=1)
        above = int(np.sum(share > novel))  # these are too small
        if number == 0 and above == 0:
            raise InputError(
                f"all but {novel:.0%} of the environments are copies of known ones, so every bandwidth fits; "
                "remove copies or give a bandwidth."
            )
        low, high = h[max(above - 1, 0)], h[min(above, GRID - 1)]
    return unit * float(np.sqrt(low * high))


@follows_dtype
def likelihood_bandwidth(y: Rows, x: Rows) -> float:
    """Bandwidth that maximizes the likelihood of each half of the data under the other, by its gradient.

    Elements are not told apart here.

        L(h) = −mean_i δH(y_i|x; h) − mean_j δH(x_j|y; h) − 2 d ln h

    Args:
      y: one half of the environments, shape [m, d], Å⁻¹.
      x: the other half, shape [n, d], Å⁻¹.

    Raises:
      InputError: sets that do not fit, or so many copies that the likelihood grows without bound.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> 0.1 < likelihood_bandwidth(x[::2], x[1::2]) < 1.0
    True
    """
    unit, y, x = _in_units(rows_of(y), rows_of(x))
    low = bottom = -DECADES * np.log(10.0)
    high = 0.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        rising = float(_likelihood_slope(middle, y, x)) > 0
        low, high = (middle, high) if rising else (low, middle)
    if low == bottom:
        raise InputError(
            "copies in both halves make the likelihood grow without bound as the bandwidth falls; "
            "remove copies or give a bandwidth."
        )
    return unit * float(np.exp(0.5 * (low + high)))


def _likelihood(log_h: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    h = jnp.exp(log_h)
    crossed = jnp.mean(delta_entropy(y, x, bandwidth=h)) + jnp.mean(delta_entropy(x, y, bandwidth=h))
    return -crossed - 2 * x.shape[1] * log_h


_likelihood_slope = jax.jit(jax.grad(_likelihood))


def _in_units(*sets: Rows) -> tuple[Any, ...]:
    """A length R that no distance exceeds, and all sets divided by it, so that a search knows no scale.

    At h = R each kernel is at least e^(−1/2), so that two known environments cover everything and the
    likelihood falls; two environments that are alike `DECADES` below R are copies.
    """
    width = np.shape(rows_of(sets[-1]))[-1:] or (None,)
    names = "yx"[-len(sets) :]
    rows = [
        np.asarray(check_rows(name, rows_of(each), width[0]), float)
        for name, each in zip(names, sets, strict=True)
    ]
    for name, each in zip(names, rows, strict=True):
        if len(each) < 2:
            raise InputError(f"{name}: holds {counted(len(each), 'environment')}; give at least two.")
    together = np.concatenate(rows)
    unit = 2 * float(np.sqrt(((together - together.mean(axis=0)) ** 2).sum(axis=1).max()))
    if not unit > 0:
        raise InputError("all environments are the same, so every bandwidth fits; give a bandwidth.")
    return unit, *(_with_rows(each, x / unit) for each, x in zip(sets, rows, strict=True))


def _with_rows(given: Rows, x: np.ndarray) -> Rows:
    """The rows x, with the elements of what was given."""
    return dataclasses.replace(given, x=x) if isinstance(given, Environments) else x


def _volume(volume: ArrayLike) -> np.ndarray:
    volume = np.asarray(volume, float)
    if not np.all(np.isfinite(volume) & (volume > 0)):
        raise InputError(f"volume per atom must be positive and finite, got {volume}.")
    return volume
