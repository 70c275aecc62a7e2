"""Calls of sums and measures, and loops for each."""

from __future__ import annotations

import re
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from campaigns.calls import LONG, Call, Judged, exponents, log_error, log_sums, long, own_sums, sum_error

from quests_jax import information as qi
from quests_jax.base.environments import rows_of
from quests_jax.base.numerics import overlap_tolerance


def log_kernel_sum(call: Call) -> Judged:
    L = log_sums(call.exponents(), call.w.astype(call.working))
    y, x = call.sides
    return Judged(qi.log_kernel_sum(y, x, bandwidth=call.h, weights=call.w), L, log_error(call, L))


def delta_entropy(call: Call) -> Judged:
    L = log_sums(call.exponents())
    return Judged(qi.delta_entropy(*call.sides, bandwidth=call.h), -L, log_error(call, L))


def several_bandwidths(call: Call) -> Judged:
    hs = np.array([call.h, 3 * call.h])
    L = np.stack([log_sums(call.exponents(h)) for h in hs])
    return Judged(qi.delta_entropy(*call.sides, bandwidth=hs), -L, log_error(call, L))


def kernel_sum(call: Call) -> Judged:
    L = log_sums(call.exponents())
    found = qi.kernel_sum(*call.sides, bandwidth=call.h)
    tiny = float(jnp.finfo(call.dtype).tiny)
    return Judged(found, np.exp(L), np.exp(L).astype(float) * 2 * log_error(call, L) + 2 * tiny)


def overlap(call: Call) -> Judged:
    L = log_sums(call.exponents())
    limit = overlap_tolerance(jnp.dtype(call.dtype))
    doubtful = np.abs(-L - limit) <= log_error(call, L)
    found = qi.overlap(*call.sides, bandwidth=call.h)
    return Judged(found, np.asarray(np.mean(-L < limit)), np.mean(doubtful) + 4 * call.output_eps)


def overlap_matrix(call: Call) -> Judged:
    """Of y, x and both; entries that a rounding decides may differ by one environment each."""
    if call.dtype in ("float16", "bfloat16"):
        call = call._replace(
            y=np.asarray(long(call.y), float), x=np.asarray(long(call.x), float), dtype="float64"
        )
    call = call._replace(elements=None)
    parts, limit = [call.y[:31], call.x[:31], call.y[:1]], overlap_tolerance(jnp.dtype(call.dtype))
    expected, allowed = np.ones((3, 3)), np.zeros((3, 3))
    for r, x in enumerate(parts):
        for t, y in enumerate(parts):
            if r != t:
                L = log_sums(exponents(y, x, call.h, call.working))
                expected[r, t] = np.mean(-L < limit)
                allowed[r, t] = np.mean(np.abs(-L - limit) <= log_error(call, L)) + 1e-14
    return Judged(qi.overlap_matrix(parts, bandwidth=call.h), expected, allowed)


def others(call: Call) -> Judged:
    s = np.where(call.group[:, None] == call.group[None], -np.inf, call.own_exponents())
    L = log_sums(s)
    found = qi.delta_entropy_of_others(call.sides[1], call.group, bandwidth=call.h)
    return Judged(found, -L, log_error(call, L))


def others_of_some(call: Call) -> Judged:
    rows = np.random.default_rng(call.seed).permutation(len(call.x))[: 1 + len(call.x) // 3]
    s = np.where(call.group[:, None] == call.group[None], -np.inf, call.own_exponents())
    L = log_sums(s[rows])
    found = qi.log_sum_of_others(call.sides[1], call.group, rows=rows, bandwidth=call.h)
    return Judged(found, L, log_error(call, L))


def self_kernel_sum(call: Call) -> Judged:
    p, error = own_sums(call, call.w.astype(call.working))
    return Judged(qi.self_kernel_sum(call.sides[1], bandwidth=call.h, weights=call.w), p, error)


def entropy(call: Call) -> Judged:
    p, error = own_sums(call, np.ones(len(call.x)))
    H = np.log(LONG(len(p))) - np.log(p).mean()
    found = qi.entropy(call.sides[1], bandwidth=call.h)
    return Judged(found, H, np.max(error / p) + 8 * call.output_eps * (1 + np.log(len(p))))


def efficiency(call: Call) -> Judged:
    H = entropy(call)
    scale = 100 / np.log(len(call.x)) if len(call.x) > 1 else 1.0
    share = H.expected * LONG(scale) if len(call.x) > 1 else np.asarray(LONG(100))
    found = qi.efficiency(call.sides[1], bandwidth=call.h)
    return Judged(found, share, H.allowed * scale + 400 * call.output_eps)


def diversity(call: Call) -> Judged:
    p, error = own_sums(call, np.ones(len(call.x)))
    D = np.log((1 / p).sum())
    found = qi.diversity(call.sides[1], bandwidth=call.h)
    return Judged(found, D, np.max(error / p) + 8 * call.output_eps * (1 + np.log(len(p))))


def cross_kernel_sums(call: Call) -> Judged:
    K = np.exp(call.exponents())
    found = np.concatenate([long(part) for part in qi.cross_kernel_sums(*call.sides, bandwidth=call.h)])
    expected = np.concatenate([K.sum(axis=1), K.sum(axis=0)])
    return Judged(found, expected, sum_error(call, expected))


def kernel_product(call: Call) -> Judged:
    K, v = np.exp(call.exponents()), call.v.astype(call.working).astype(LONG)
    found = qi.kernel_product(*call.sides, call.v, bandwidth=call.h)
    allowed = sum_error(call, K @ np.abs(v)) + 1e-12 * float(np.abs(v).max())
    if call.dtype == "float16":
        allowed = np.where(np.abs(K @ v) > 6e4, np.inf, allowed)
    return Judged(found, K @ v, allowed)


def alone(function: Callable[[Call], Judged]) -> Callable[[Call], Judged]:
    """Of a function of x only, whose dtype alone counts."""
    return lambda call: function(call._replace(dtype=call.x.dtype.name))


def _numbers(call: Call) -> np.ndarray:
    return (call.group // max(1, call.group.max() // 3)).clip(0, 3)


def structure_masses(call: Call) -> Judged:
    number, K = _numbers(call), np.exp(call.exponents())
    M = np.stack([K[:, number == s].sum(axis=1) for s in range(5)])
    found = qi.structure_masses(*call.sides, number, 5, bandwidth=call.h)
    return Judged(found, M, sum_error(call, M))


def tiles_of_masses(call: Call) -> Judged:
    """In float32 whatever is given: exponents err by ten times as much as elsewhere."""
    y, x = (np.asarray(long(side), np.float32) for side in (call.y, call.x))
    call = call._replace(y=y, x=x, dtype="float32")
    number, K = _numbers(call), np.exp(call.exponents())
    M = np.stack([K[:, number == s].sum(axis=1) for s in range(5)])
    found = np.full(M.shape, np.nan)
    y, x = call.sides
    for rows, masses in qi.tiles_of_masses(y, x, number, 5, bandwidth=call.h, error=1e-6):
        found[:, rows] = masses
    return Judged(found, M, 10 * sum_error(call, M) + 1e-6)


SUMS: dict[str, tuple[Callable[[Call], Judged], str]] = {  # and what may be spoilt
    "log_kernel_sum": (log_kernel_sum, "yxwh"),
    "delta_entropy": (delta_entropy, "yxh"),
    "several_bandwidths": (several_bandwidths, "yxh"),
    "kernel_sum": (kernel_sum, "yxh"),
    "overlap": (overlap, "yxh"),
    "overlap_matrix": (overlap_matrix, "h"),
    "others": (alone(others), "xh"),
    "others_of_some": (alone(others_of_some), "xh"),
    "self_kernel_sum": (alone(self_kernel_sum), "xwh"),
    "entropy": (alone(entropy), "xh"),
    "efficiency": (alone(efficiency), "xh"),
    "diversity": (alone(diversity), "xh"),
    "cross_kernel_sums": (cross_kernel_sums, "yxh"),
    "kernel_product": (kernel_product, "yxvh"),
    "structure_masses": (structure_masses, "yxh"),
    "tiles_of_masses": (tiles_of_masses, "yxh"),
}


FOUNDATIONS = ("log_kernel_sum", "self_kernel_sum", "kernel_product")  # at every width


def spoilt(call: Call, name: str, rng: np.random.Generator) -> tuple[Call, re.Pattern]:
    """The call with one bad entry anywhere in one argument, and how the refusal must begin."""
    value = float(rng.choice((np.nan, np.inf, -np.inf)))
    if name == "h":
        return call._replace(h=float(rng.choice((0.0, -1.0, np.nan, np.inf)))), re.compile("bandwidth")
    array = np.array(rows_of(getattr(call, name)), call.working)
    place = tuple(int(rng.integers(size)) for size in array.shape)
    array[place] = value
    told = {"w": f"weights: number {place[0]} is", "v": f"v: row {place[0]} "}
    told |= {side: rf"(y|x): environment {place[0]} holds a value that is not finite" for side in "yx"}
    array = array if name in "wv" else array.astype(call.working)
    return call._replace(**{name: array}), re.compile(told[name])
