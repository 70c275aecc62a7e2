"""Calls of cover problems, rules and soft weights, pick by pick; bounds have a campaign of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from campaigns.calls import LONG, Call, Judged, exponents, long, unlike

from quests_jax import cover as qc
from quests_jax.base.environments import Environments, make_environments

COUNTS = np.array([3, 2, 4, 1, 3, 2, 0, 3, 2])  # one structure has no environments
S, N = len(COUNTS), int(COUNTS.sum())
NUMBER = np.repeat(np.arange(S), COUNTS)


class Made:
    """Environments of a few structures around the rows of a call, and their kernels."""

    def __init__(self, call: Call) -> None:
        rng = np.random.default_rng(call.seed)
        width = call.h if 0 < call.h < np.inf else 1.0  # also where the bandwidth is a bad one
        rows = np.asarray(long(call.x), float)
        x = rows[rng.integers(len(rows), size=N)] + width * rng.normal(size=(N, rows.shape[1]))
        self.h, self.rng = call.h, rng
        Z = rng.integers(1, 3, N) if rng.random() < 0.3 else None
        self.x = make_environments(x, NUMBER, S, Z)
        some = rng.permutation(N)[:4]
        near, theirs = self.x.x[some] + 0.3 * width, None if Z is None else Z[some]
        self.known = make_environments(near, np.zeros(4, int), 1, theirs)

    def exponents(self, one: Environments, other: Environments) -> np.ndarray:
        s = exponents(one.x, other.x, self.h, "float64")
        return s if one.elements is None else np.where(unlike(one.elements, other.elements), -np.inf, s)

    @property
    def masses(self) -> np.ndarray:
        K = np.exp(self.exponents(self.x, self.x))
        return np.stack([K[:, NUMBER == s].sum(axis=1) for s in range(S)])

    def spread(self, n: int, powers: float = 4) -> np.ndarray:
        return 10 ** self.rng.uniform(-powers, powers, n)


def problem(call: Call) -> Judged:
    made = Made(call)
    u, w = made.spread(N), made.rng.uniform(size=S)
    posed = qc.cover_problem(made.x, bandwidth=made.h, weights=u, reference=made.known)
    mass = np.exp(made.exponents(made.x, made.known)).sum(axis=1) + w.astype(LONG) @ made.masses
    share = (u * np.minimum(mass, 1)).sum() / u.astype(LONG).sum()
    found = np.append(np.asarray(qc.mass(posed, w)), float(qc.coverage(posed, w)))
    return Judged(found, np.append(mass, share), 1e-10)


def distinct(call: Call) -> Judged:
    made = Made(call)
    p = np.exp(made.exponents(made.x, made.x)).sum(axis=1)
    return Judged(qc.distinct_weights(made.x, bandwidth=made.h), 1 / p, 1e-11)


def prefixes(call: Call) -> Judged:
    made = Made(call)
    order = made.rng.permutation(np.flatnonzero(COUNTS))[:5]
    found = qc.prefix_metrics(made.x, order, bandwidth=made.h)
    mass, inside, expected, doubtful = np.zeros(N, LONG), np.zeros(N, bool), [], 0.0
    for s in order:
        mass, inside = mass + made.masses[s], inside | (s == NUMBER)
        p = mass[inside]
        overlap = np.mean(-np.log(mass) < 1e-5)
        doubtful = max(doubtful, float(np.mean(np.abs(-np.log(mass) - 1e-5) < 1e-9)))
        expected.append([np.log(LONG(len(p))) - np.log(p).mean(), np.log((1 / p).sum()), overlap])
    values = np.stack([found.entropy, found.diversity, found.overlap], axis=1)
    return Judged(values, np.array(expected), 1e-9 + doubtful)


def greedy(call: Call) -> Judged:
    """Each gain is the largest there is, and what is added."""
    made = Made(call)
    u = made.spread(N, 2)
    posed = qc.cover_problem(made.x, bandwidth=made.h, weights=u)
    found = qc.greedy_cover(posed, size=4)
    level, best = np.zeros(N, LONG), []
    worth = lambda m: (u * np.minimum(m, 1)).sum(axis=-1) / u.astype(LONG).sum()  # noqa: E731
    own = []
    for t, s in enumerate(found.selected):
        is_open = ~np.isin(np.arange(S), found.selected[:t])
        best.append(max(0, (worth(level + made.masses[is_open]) - worth(level)).max()))
        own.append(worth(level + made.masses[s]) - worth(level))
        level = level + made.masses[s]
    return Judged(
        np.concatenate([found.gains, own, [float(found.coverage or 0)]]),
        np.concatenate([best, best, [worth(level)]]),
        1e-8,
    )


def msc(call: Call) -> Judged:
    """Each score is the largest there is, to the 1e-10 nats within which scores are equal."""
    made = Made(call)
    found = qc.msc(made.x, size=4, bandwidth=made.h)
    s = made.exponents(made.x, made.x)
    own = [np.exp(s[np.ix_(NUMBER == k, NUMBER == k)]).sum(axis=1) for k in range(S)]
    H = np.array([np.log(LONG(len(p))) - np.log(p).mean() if len(p) else -np.inf for p in own])
    chosen, best, score = [], [], []
    for pick in found.selected:
        among = np.isin(NUMBER, chosen)
        top = np.maximum(s[:, among].max(axis=1, initial=-np.inf), -1e300)
        L = top + np.log(np.exp(s[:, among] - top[:, None]).sum(axis=1))
        novel = [np.max(-L[k == NUMBER], initial=-np.inf) if chosen else 0 for k in range(S)]
        total = np.where(np.isin(np.arange(S), chosen), -np.inf, np.array(novel) + H)
        best.append(total.max())
        score.append(total[pick])
        chosen.append(pick)
    finite = np.isfinite(np.array(best, float)) & (np.abs(best) < 1e6)
    size = 1e-9 + 1e-12 * np.abs(np.where(np.isfinite(np.array(best, float)), best, 0))
    both = np.concatenate([np.where(finite, found.gains, 0), np.where(finite, score, 0)])
    return Judged(both, np.concatenate([np.where(finite, best, 0)] * 2), np.concatenate([size, size]))


def soft(call: Call) -> Judged:
    """The budget is kept, and the conditions of the maximum hold at every weight that is neither 0 nor 1."""
    made = Made(call)
    T, u = float(10 ** made.rng.uniform(-2, 0)), made.spread(N, 1)
    found = qc.soft_weights(made.x, size=3, temperature=T, bandwidth=made.h, weights=u)
    w = np.asarray(found, LONG)
    slope = made.masses @ (u / u.astype(LONG).sum() / (1 + np.exp((w @ made.masses - 1) / T)))
    price = slope - LONG(T) / 3 * (np.log(w) - np.log1p(-w))
    inside = (w > 1e-6) & (w < 1 - 1e-6)
    inside[np.argmin(np.abs(w - 0.5))] = True
    return Judged(np.array([w.sum(), np.ptp(price[inside])]), np.array([3, 0]), 1e-7)


COVERS: dict[str, tuple[Callable[[Call], Judged], str]] = {
    "cover_problem, mass and coverage": (problem, "h"),
    "distinct_weights": (distinct, "h"),
    "prefix_metrics": (prefixes, "h"),
    "greedy_cover": (greedy, "h"),
    "msc": (msc, "h"),
    "soft_weights": (soft, "h"),
}
