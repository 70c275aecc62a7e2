"""Calls of estimates, learning curves and rules for the bandwidth, and what each must be."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from campaigns.calls import LONG, Call, Judged, exponents, long, own_sums
from scipy.special import stdtrit

from quests_jax import information as qi
from quests_jax.base.checks import InputError

EXACT = 1e-9  # of what is made of few sums in float64


def doubled(call: Call, least: int = 2) -> Call:
    """In float64, with at least so many rows."""
    x = np.asarray(long(call.x), float)
    step = call.h if 0 < call.h < np.inf else 1.0  # also where the bandwidth is a bad one
    while len(x) < least:
        x = np.concatenate([x, x[-1:] + step * (1 + np.arange(x.shape[1]))])
    y = np.asarray(long(call.y), float)
    return call._replace(x=x, y=y if len(y) > 1 else x, dtype="float64", elements=None)


def _estimate(values: np.ndarray, n: int) -> tuple[float, float]:
    r = len(values)
    spread = values.std(ddof=1) / np.sqrt(r) * np.sqrt(max(1 - r / n, 0)) if r > 1 else 0.0
    return values.mean(), (stdtrit(r - 1, 0.975) if r > 1 else 1) * spread


def sampled_entropy(call: Call) -> Judged:
    call = doubled(call)
    n = len(call.x)
    rows = int(np.random.default_rng(call.seed).integers(2, n + 3))
    sample = np.asarray(jax.random.permutation(jax.random.key(call.seed), n))[:rows]
    p, error = own_sums(call, np.ones(n))
    mean, half = _estimate(-np.log(p[sample]).astype(float), n)
    found = qi.sampled_entropy(call.x, rows, bandwidth=call.h, key=jax.random.key(call.seed))
    return Judged(np.array(found), np.array([np.log(n) + mean, half]), np.max(error / p) * 10 + EXACT)


def estimates(call: Call) -> Judged:
    rng = np.random.default_rng(call.seed)
    n = int(rng.integers(2, 1000))
    p = 10 ** rng.uniform(0, rng.choice((0, 3)), size=int(rng.integers(2, n + 1)))
    (H, half), (mean, wide) = _estimate(-np.log(p), n), _estimate(1 / p, n)
    expected = np.array([np.log(n) + H, half, np.log(n * mean), wide / mean])
    return Judged(np.array([*qi.estimated_entropy(p, n), *qi.estimated_diversity(p, n)]), expected, EXACT)


def learning_curve(call: Call) -> Judged:
    call = doubled(call)
    n, key = len(call.x), jax.random.key(call.seed)
    sizes = [1, max(1, n // 2), n]
    curve = qi.learning_curve(call.x, sizes, repeats=2, bandwidth=call.h, key=key)
    expected, worst = np.zeros((2, 3)), 0.0
    for number, each in enumerate(jax.random.split(key, 2)):
        order = np.asarray(jax.random.permutation(each, n))
        for column, count in enumerate(sizes):
            p, error = own_sums(call._replace(x=call.x[order[:count]]), np.ones(count))
            expected[number, column] = np.log(LONG(count)) - np.log(p).mean()
            worst = max(worst, float(np.max(error / p)))
    return Judged(curve.entropies, expected, worst + EXACT)


def limit(call: Call) -> Judged:
    """A curve of the fitted form has the limit that it was made with."""
    rng = np.random.default_rng(call.seed)
    a, c = rng.uniform(1, 10), 10 ** rng.uniform(-1.7, -0.5)
    b = rng.uniform(0.2, 1) * a
    sizes = np.array([10, 30, 100, 300, 1000, 3000])
    curve = qi.LearningCurve(sizes, a - b * np.exp(-c * np.log(sizes)[None] ** 2))
    gap = a - curve.mean[-1]
    return Judged(
        np.array([qi.largest_entropy(curve), qi.information_gap(curve)]), np.array([a, gap]), 1e-3 * a
    )


def rules_by_volume(call: Call) -> Judged:
    V = np.array(10 ** np.random.default_rng(call.seed).uniform(-8, 8, 5)).astype(LONG)
    gauss = LONG("0.0897141") * np.exp(-((V / LONG("10.896")) ** 2) / 2) + LONG("0.0119417")
    z = np.log(V) ** 2 / LONG("11.61172")
    cut = LONG("0.086164") * np.where(z <= 1, (1 - z**2) ** 2, 0) + LONG("0.016")
    found = np.concatenate([qi.gaussian_rule(V.astype(float)), qi.cutoff_rule(V.astype(float))])
    return Judged(found, np.concatenate([gauss, cut]), 1e-13)


def elbow(call: Call) -> Judged:
    call = doubled(call, 3)
    h = call.h * np.geomspace(0.1, 10, 5)
    found, shares = qi.elbow_bandwidth(call.x, h)
    p = [np.exp(exponents(call.x, call.x, each, "float64")).sum(axis=1) for each in h]
    expected = np.array([1 - np.log(each).mean() / np.log(LONG(len(call.x))) for each in p])
    chord = expected[0] + np.arange(5) / 4 * (expected[-1] - expected[0])
    away = np.abs(expected - chord)
    place = int(np.flatnonzero(h == found)[0])
    missing = max(0.0, float(away.max() - away[place]) - EXACT)
    return Judged(np.append(shares, missing), np.append(expected, 0), EXACT)


def novelty(call: Call) -> Judged:
    """The share of novel rows is crossed within 1 % of the answer, or all bandwidths fit."""
    call = doubled(call)
    wanted = float(np.random.default_rng(call.seed).uniform(0.05, 0.9))

    def share(h: float) -> float:
        return float(np.mean(-np.log(np.exp(exponents(call.y, call.x, h, "float64")).sum(axis=1)) >= 1e-5))

    rows = np.concatenate([call.y, call.x])
    smallest = 2e-6 * np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=1).max())
    try:
        h = qi.novelty_bandwidth(call.y, call.x, novel=wanted)
    except InputError as refusal:
        if "every bandwidth fits" not in str(refusal) and "at least two" not in str(refusal):
            raise
        return Judged(np.zeros(1), np.array([share(1.01 * smallest) > wanted], float), 0)
    return Judged(np.array([share(1.01 * h) > wanted, share(0.99 * h) <= wanted]), np.zeros(2), 0)


def likelihood(call: Call) -> Judged:
    """The slope of the likelihood changes its sign within 0.5 % of the answer."""
    call = doubled(call, 17)
    y, x = call.x[:8], call.x[8:16]

    def slope(h: float) -> float:
        total = -2.0 * x.shape[1]
        for a, b in ((y, x), (x, y)):
            s = exponents(a, b, h, "float64")
            share = np.exp(s - s.max(axis=1, keepdims=True))
            total += float(((share / share.sum(axis=1, keepdims=True)) * -2 * s).sum(axis=1).mean())
        return total

    rows = np.concatenate([y, x])
    smallest = 2e-6 * np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=1).max())
    try:
        h = qi.likelihood_bandwidth(y, x)
    except InputError as refusal:
        if "without bound" not in str(refusal) and "every bandwidth fits" not in str(refusal):
            raise
        return Judged(np.zeros(1), np.array([smallest > 0 and slope(1.01 * smallest) > 0], float), 0)
    return Judged(np.array([slope(0.995 * h) < 0, slope(1.005 * h) > 0]), np.zeros(2), 0)


def spread_over_devices(call: Call) -> Judged:
    call = doubled(call, 17)._replace()
    y, x = call.x[:16], call.x[:17]
    s = exponents(y, x, call.h, "float64")
    top = s.max(axis=1)
    L = top + np.log(np.exp(s - top[:, None]).sum(axis=1))
    return Judged(qi.over_devices(qi.delta_entropy)(y, x, bandwidth=call.h), -L, 2e-12 + 1e-14 * np.abs(L))


ESTIMATES: dict[str, tuple[Callable[[Call], Judged], str]] = {
    "sampled_entropy": (sampled_entropy, "xh"),
    "estimated_entropy and estimated_diversity": (estimates, ""),
    "learning_curve": (learning_curve, "xh"),
    "largest_entropy and information_gap": (limit, ""),
    "gaussian_rule and cutoff_rule": (rules_by_volume, ""),
    "elbow_bandwidth": (elbow, "xh"),
    "novelty_bandwidth": (novelty, "x"),
    "likelihood_bandwidth": (likelihood, ""),
    "over_devices": (spread_over_devices, "h"),
}
