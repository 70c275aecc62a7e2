"""Calls of derivatives by every argument, against their formulas in longdouble.

All are made free of units: derivatives by rows and by the bandwidth are multiplied by the bandwidth. In some
calls one row is no number: what is traced is not refused, and then it alone is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from campaigns.calls import LONG, RELATIVE, SKIPPED, Call, Judged, exponents, log_sums, long

from quests_jax import information as qi

Arrays = list[np.ndarray]


class Pairs(NamedTuple):
    """What all formulas are made of, [m, n] each and in longdouble."""

    s: np.ndarray  # exponents
    q: np.ndarray  # −2s
    apart: np.ndarray  # [m, n, d], (x_j − y_i)/h
    far: np.ndarray  # |x_j − y_i|/h
    extent: float  # of the data, in bandwidths

    @classmethod
    def of(cls, call: Call, y: np.ndarray, x: np.ndarray) -> Pairs:
        s = exponents(y, x, call.h, call.working)
        h = LONG(np.dtype(call.working).type(call.h))
        apart = (long(x)[None] - long(y)[:, None]) / h
        mean = long(x).mean(axis=0)
        origin = np.where(np.abs(mean) > 2 * np.abs(long(x) - mean).max(axis=0), mean, 0)
        rows = np.concatenate([long(y), long(x)]) - origin
        extent = float(np.sqrt((rows**2).sum(axis=1)).max() / h)
        return cls(s, -2 * s, apart, np.sqrt(-2 * s), extent)


def relative(call: Call, pairs: Pairs, L: np.ndarray | float = 0.0) -> np.ndarray:
    """Relative error of one term exp(s_ij − L_i): exponents far from 0 err by many roundings."""
    roundings = 32 * call.eps * (np.abs(pairs.s) + np.abs(L))
    return 4 * RELATIVE[call.working] + np.expm1(np.minimum(roundings, 700))


def rounding(call: Call, pairs: Pairs, L: np.ndarray | float = 0.0) -> np.ndarray:
    """What one term adds to the error of a difference of sums of rows, in units of 1/h."""
    terms = 32 + np.sqrt(len(pairs.s) + pairs.s.shape[1])
    return (terms * call.eps * (1 + np.abs(pairs.s) / 8 + np.abs(L) / 8) + SKIPPED) * pairs.extent


def by_rows(call: Call, pairs: Pairs, pull: np.ndarray, L: np.ndarray | float = 0.0) -> tuple[Arrays, Arrays]:
    """Σ_j c_ij (x_j − y_i)/h and Σ_i c_ij (y_i − x_j)/h, and their errors."""
    each = np.abs(pull) * (pairs.far * relative(call, pairs, L) + rounding(call, pairs, L))
    slack = 4 * SKIPPED * (1 + np.abs(pull).max()) * pairs.extent
    of_y, of_x = np.einsum("ij,ijd->id", pull, pairs.apart), -np.einsum("ij,ijd->jd", pull, pairs.apart)
    return [of_y, of_x], [each.sum(axis=1)[:, None] + slack, each.sum(axis=0)[:, None] + slack]


def flat(call: Call, found: Arrays, expected: Arrays, allowed: Arrays) -> Judged:
    tiny = float(np.finfo(call.working).tiny) * 1e3
    spread = [
        np.broadcast_to(a, np.shape(e)).astype(float).ravel() for a, e in zip(allowed, expected, strict=True)
    ]
    return Judged(
        np.concatenate([long(f).ravel() for f in found]),
        np.concatenate([np.asarray(e, LONG).ravel() for e in expected]),
        np.concatenate(spread) + tiny,
    )


def given(call: Call) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    y, x, h = (np.asarray(each, call.working) for each in (call.y, call.x, call.h))
    return y, x, h, np.random.default_rng(call.seed)


def pulled(f: Callable, mix: np.ndarray, *arguments: np.ndarray) -> list[np.ndarray]:
    value, pull = jax.vjp(f, *arguments)
    return [np.asarray(each) for each in pull(np.asarray(mix, value.dtype))]


def log_sum(call: Call) -> Judged:
    y, x, h, rng = given(call)
    w = np.asarray(call.w, call.working)
    g = rng.normal(size=len(y)).astype(call.working)
    f = lambda y, x, w, h: qi.log_kernel_sum(y, x, weights=w, bandwidth=h)  # noqa: E731
    of_y, of_x, of_w, of_h = pulled(f, g, y, x, w, h)
    pairs, g, w = Pairs.of(call, y, x), g.astype(LONG), w.astype(LONG)
    L = log_sums(pairs.s, w)[:, None]
    share = np.exp(pairs.s + np.log(w) - L)  # of a row that has a weight
    by_weight = np.exp(pairs.s - L)  # infinite where a row without weight is much nearer than all others
    error = relative(call, pairs, L)
    rows, errors = by_rows(call, pairs, g[:, None] * share, L)
    size = np.abs(g)[:, None] * by_weight
    errors += [(size * error).sum(axis=0) + SKIPPED * np.abs(g).sum()]
    errors += [(np.abs(g)[:, None] * share * pairs.q * error).sum() + 100 * SKIPPED * np.abs(g).sum()]
    too_large = size.sum(axis=0) > float(np.finfo(call.working).max) / 1e6  # infinite, with either sign
    of_w = np.where(too_large, 0, of_w)
    expected = [*rows, np.where(too_large, 0, g @ by_weight), (g[:, None] * share * pairs.q).sum()]
    errors[2] = np.where(too_large, 0, errors[2])
    if np.any(32 * call.eps * np.abs(L) > 1):  # a query so far away that nothing is promised by x and weights
        errors[1:3] = [np.inf, np.inf]
    return flat(call, [of_y * h, of_x * h, of_w, of_h * h], expected, errors)


def self_sum(call: Call) -> Judged:
    _, x, h, rng = given(call)
    w = np.asarray(call.w, call.working)
    g = rng.normal(size=len(x)).astype(call.working)
    f = lambda x, w, h: qi.self_kernel_sum(x, weights=w, bandwidth=h)  # noqa: E731
    return _of_self(call, pulled(f, g, x, w, h), x, h, g, w)


def _of_self(call, found, x, h, g, w, error=0.0) -> Judged:
    """Derivatives of Σ_i g_i p_i, where g may err by `error`, relative to it."""
    of_x, of_w, of_h = found
    pairs, g, w = Pairs.of(call, x, x), np.asarray(g, LONG), np.asarray(w, LONG)
    K = np.exp(pairs.s)
    pull, size = K * (g[:, None] * w + w[:, None] * g), K * (np.abs(g)[:, None] * w + w[:, None] * np.abs(g))
    term = relative(call, pairs) + error
    each = size * (pairs.far * term + rounding(call, pairs) + error * pairs.far)
    slack = SKIPPED * np.abs(g).max() * w.max() * (1 + pairs.extent)
    expected = [np.einsum("ij,ijd->id", pull, pairs.apart), K @ g, (K * g[:, None] * w * pairs.q).sum()]
    errors = [
        each.sum(axis=1)[:, None] + 4 * slack,
        (K * np.abs(g) * term).sum(axis=1) + SKIPPED * np.abs(g).max(),
        (K * np.abs(g)[:, None] * w * pairs.q * term).sum() + 100 * SKIPPED * np.abs(g).sum() * w.max(),
    ]
    kept = [i for i, each in enumerate((of_x, of_w, of_h)) if each is not None]
    scaled = [of_x * h, of_w, of_h * h if of_h is not None else None]
    return flat(call, [scaled[i] for i in kept], [expected[i] for i in kept], [errors[i] for i in kept])


def entropy(call: Call) -> Judged:
    return _measure(call, qi.entropy, lambda p: -1 / (len(p) * p))


def diversity(call: Call) -> Judged:
    return _measure(call, qi.diversity, lambda p: -1 / p**2 / (1 / p).sum())


def _measure(call: Call, measure: Callable, slope: Callable) -> Judged:
    _, x, h, _ = given(call)
    of_x, of_h = pulled(lambda x, h: measure(x, bandwidth=h), np.ones(()), x, h)
    p = np.exp(Pairs.of(call, x, x).s).sum(axis=1)
    error = 4 * RELATIVE[call.working] + 4 * len(p) * call.eps
    return _of_self(call, (of_x, None, of_h), x, h, slope(p), np.ones(len(p)), error)


def product(call: Call) -> Judged:
    y, x, h, rng = given(call)
    v = np.asarray(call.v, call.working)
    g = rng.normal(size=(len(y), v.shape[1])).astype(call.working)
    f = lambda y, x, v, h: qi.kernel_product(y, x, v, bandwidth=h)  # noqa: E731
    found = pulled(f, g, y, x, v, h)
    along, size = g.astype(LONG) @ v.astype(LONG).T, np.abs(g).astype(LONG) @ np.abs(v).astype(LONG).T
    pairs = Pairs.of(call, y, x)
    K, error = np.exp(pairs.s), relative(call, pairs)
    rows, errors = by_rows(call, pairs, K * along)
    errors = _larger(call, pairs, K * size, errors)
    expected = [*rows, K.T @ g.astype(LONG), (K * along * pairs.q).sum()]
    errors += [(K * error).T @ np.abs(g) + SKIPPED * np.abs(g).max() * len(y)]
    errors += [(K * size * pairs.q * error).sum() + 100 * SKIPPED * size.max() * len(y)]
    of_y, of_x, of_v, of_h = found
    return flat(call, [of_y * h, of_x * h, of_v, of_h * h], expected, errors)


def _larger(call: Call, pairs: Pairs, size: np.ndarray, errors: Arrays) -> Arrays:
    """Errors by rows where terms of either sign add up."""
    return [np.maximum(*both) for both in zip(errors, by_rows(call, pairs, size)[1], strict=True)]


def masses(call: Call) -> Judged:
    y, x, h, rng = given(call)
    number = (call.group // max(1, call.group.max() // 3)).clip(0, 3)
    g = rng.normal(size=(5, len(y))).astype(call.working)
    f = lambda y, x, h: qi.structure_masses(y, x, number, 5, bandwidth=h)  # noqa: E731
    of_y, of_x, of_h = pulled(f, g, y, x, h)
    pairs, along = Pairs.of(call, y, x), g.astype(LONG).T[:, number]
    K = np.exp(pairs.s)
    rows, errors = by_rows(call, pairs, K * along)
    bent = (K * along * pairs.q).sum()
    errors += [(K * np.abs(along) * pairs.q * relative(call, pairs)).sum() + 100 * SKIPPED * np.abs(g).sum()]
    return flat(call, [of_y * h, of_x * h, of_h * h], [*rows, bent], errors)


def not_a_number(call: Call) -> Judged:
    """One row that is traced and no number: δH and its slope are NaN in that row, and right elsewhere."""
    y, x, h, rng = given(call)
    row = int(rng.integers(len(y)))
    bad = np.array(y)
    bad[row, int(rng.integers(y.shape[1]))] = float(rng.choice((np.nan, np.inf, -np.inf)))
    value, pull = jax.vjp(lambda y: qi.delta_entropy(y, x, bandwidth=h), bad)
    slope = np.asarray(pull(np.ones(len(y), value.dtype))[0])
    pairs = Pairs.of(call, y, x)
    L = log_sums(pairs.s)[:, None]
    rows, errors = by_rows(call, pairs, -np.exp(pairs.s - L), L)
    expected, error = (
        np.concatenate([-L, rows[0]], axis=1),
        np.concatenate(
            [relative(call, pairs, L)[:, :1] + 32 * call.eps * np.abs(L), errors[0] + 0 * rows[0]], axis=1
        ),
    )
    expected[row] = np.nan
    return flat(call, [np.concatenate([np.asarray(value)[:, None], slope * h], axis=1)], [expected], [error])


GRADIENTS: dict[str, tuple[Callable[[Call], Judged], str]] = {
    "gradient of log_kernel_sum": (log_sum, ""),
    "gradient of self_kernel_sum": (self_sum, ""),
    "gradient of entropy": (entropy, ""),
    "gradient of diversity": (diversity, ""),
    "gradient of kernel_product": (product, ""),
    "gradient of structure_masses": (masses, ""),
    "traced, with a row that is no number": (not_a_number, ""),
}
