"""Choices by the design matrix of the linear model: leverage, Cook's distance, optimal designs.

Structure s brings the rows X_s [r_s, D] of its energy and its forces, and y_s, scaled so that its loss is
|y_s − X_s θ|² (see `ridge`). With A_s = X_sᵀ X_s, a penalty λ and a choice C,

    G = λ + Σ_{s in C} A_s,     θ = G⁻¹ Σ_{s in C} X_sᵀ y_s,     H_s = X_s G⁻¹ X_sᵀ,     e_s = y_s − X_s θ

A structure is chosen or left as a whole, and costs its atoms. Leverage and designs see the rows alone; Cook's
distance sees the labels y of the whole pool, which nobody has who is yet to label.

    leverage        ℓ_s = tr H_s with C the whole pool: the sum over the rows of a structure [1]
    Cook            what leaving s out of the whole pool does to all that is predicted there,
                    D_s = |X (θ − θ_(s))|² but for a constant, θ − θ_(s) = G⁻¹ X_sᵀ (1 − H_s)⁻¹ e_s [2, 3]
    Cook, stepwise  what adding s to C does: |θ_(C+s) − θ_C|² in the metric of G_(C+s), which is
                    e_sᵀ (1 + H_s)⁻¹ H_s e_s [1]
    D-optimal       adds the s that raises ln det G most, by ln det(1 + H_s) [4]
    V-optimal       adds the s that most lowers the mean variance of what is predicted for the pool,
                    tr(W G⁻¹) with W = Σ_s A_s/n, by tr[(1 + H_s)⁻¹ X_s G⁻¹ W G⁻¹ X_sᵀ] [4, 5]
    V-optimal, both adds the s that most lowers ln tr(W_E G⁻¹) + ln tr(W_F G⁻¹): the variances of energies
                    (per atom) and of forces weigh alike, whatever their units

The gains are those of an update of rank r_s by Woodbury's formula. "Most" is per atom. Greedy V-optimal
designs are not submodular, but nearly so where λ is large [6]. With weights w_s in [0, 1] in place of C,
G(w) = λ + Σ_s w_s A_s and V(w) = tr(W G(w)⁻¹) is convex [7], so no choice within the atoms has a V below

    V(w) + min_{w' : Σ_s c_s w'_s ≤ B} Σ_s (w'_s − w_s) ∂V/∂w_s,     ∂V/∂w_s = −tr(A_s G⁻¹ W G⁻¹),

for any w: a certificate, from which Frank and Wolfe's steps take the best.

[1] SubDataPy 0.1.0, block mode. [2] Cook, Technometrics 19, 15 (1977). [3] For several rows at once: Cook and
Weisberg, Residuals and Influence in Regression (1982). [4] Atkinson, Donev and Tobias, Optimum Experimental
Designs (2007), chapter 10. [5] With a finite list of points to predict. [6] Chamon and Ribeiro, NeurIPS 30,
5403 (2017). [7] Boyd and Vandenberghe, Convex Optimization (2004), section 7.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ridge import Rows, weighted_rows
from scipy.linalg import cho_factor, cho_solve

PENALTY = 1.0  # λ


class Pool(NamedTuple):
    """Structures that may be chosen, their rows one after the other."""

    x: np.ndarray  # [R, D]
    y: np.ndarray  # [R]
    ends: np.ndarray  # [S − 1] int, where the rows of the next structure begin
    cost: np.ndarray  # [S], atoms
    gram: np.ndarray  # Σ_s A_s [D, D]
    energies: np.ndarray  # W_E [D, D], of energies per atom
    forces: np.ndarray  # W_F [D, D]

    def apart(self, rows: np.ndarray) -> list[np.ndarray]:
        """Rows of each structure."""
        return np.split(rows, self.ends)


class State(NamedTuple):
    """What a choice says of the model."""

    covariance: np.ndarray  # G_C⁻¹ [D, D]
    theta: np.ndarray  # θ_C [D]


Gains = Callable[[Pool, State], np.ndarray]  # what each structure would bring, [S]


def make_pool(model: Rows) -> Pool:
    """The rows of some structures, reduced to at most D each; A_s and X_sᵀ y_s stay the same."""
    xs, ys = zip(*(_reduced(x, y) for x, y in weighted_rows(model)), strict=True)
    per_atom = model.energy / model.atoms[:, None]
    x, y = np.concatenate(xs), np.concatenate(ys)
    return Pool(
        x,
        y,
        np.cumsum([len(each) for each in xs])[:-1],
        model.atoms.astype(float),
        x.T @ x,
        per_atom.T @ per_atom / len(per_atom),
        model.force.T @ model.force / len(model.force),
    )


def _reduced(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(x) <= x.shape[1]:
        return x, y
    q, r = np.linalg.qr(x)
    return r, q.T @ y


def leverages(pool: Pool) -> np.ndarray:
    """ℓ_s of every structure, [S]."""
    rows = ((pool.x @ _whole(pool).covariance) * pool.x).sum(axis=1)
    return np.array([own.sum() for own in pool.apart(rows)])


def cook_distances(pool: Pool) -> np.ndarray:
    """D_s of every structure, [S]; sees all labels."""
    state, found = _whole(pool), []
    rows = pool.x, pool.x @ state.covariance, _missed(pool, state)
    for x, reach, e in zip(*map(pool.apart, rows), strict=True):
        change = reach.T @ np.linalg.solve(np.eye(len(x)) - reach @ x.T, e)
        found.append(change @ pool.gram @ change)
    return np.array(found)


def _missed(pool: Pool, state: State) -> np.ndarray:
    """e of all rows, [R]."""
    return pool.y - pool.x @ state.theta


def _whole(pool: Pool) -> State:
    """The state after all structures."""
    return _known(pool.gram, pool.x.T @ pool.y)


def _known(gram: np.ndarray, moment: np.ndarray) -> State:
    """The state for Σ_s A_s and Σ_s X_sᵀ y_s."""
    covariance = cho_solve(cho_factor(gram + PENALTY * np.eye(len(gram))), np.eye(len(gram)))
    return State(covariance, covariance @ moment)


def drawn(scores: np.ndarray, cost: np.ndarray, limit: float, seed: int) -> np.ndarray:
    """Structures drawn one after the other in proportion to their scores, as long as one fits."""
    noise = np.random.default_rng(seed).gumbel(size=len(scores))
    return _filled(np.argsort(-np.log(np.maximum(scores, np.finfo(float).tiny)) - noise), cost, limit)


def largest(scores: np.ndarray, cost: np.ndarray, limit: float) -> np.ndarray:
    """Structures in order of their score per atom, as long as one fits."""
    return _filled(np.argsort(-scores / cost, kind="stable"), cost, limit)


def _filled(order: np.ndarray, cost: np.ndarray, limit: float) -> np.ndarray:
    chosen, left = [], limit
    for s in order:
        if cost[s] <= left:
            chosen.append(s)
            left -= cost[s]
    return np.array(chosen)


def greedy(gains: Gains, pool: Pool, limit: float) -> np.ndarray:
    """Structures of the largest gain per atom, one after the other, as long as one fits."""
    width = pool.x.shape[1]
    gram, moment = np.zeros((width, width)), np.zeros(width)
    chosen: list[int] = []
    left, free = limit, np.ones(len(pool.cost), bool)
    xs, ys = pool.apart(pool.x), pool.apart(pool.y)
    while (fitting := free & (pool.cost <= left)).any():
        found = gains(pool, _known(gram, moment))
        best = int(np.argmax(np.where(fitting, found / pool.cost, -np.inf)))
        gram, moment = gram + xs[best].T @ xs[best], moment + xs[best].T @ ys[best]
        chosen.append(best)
        free[best] = False
        left -= pool.cost[best]
    return np.array(chosen)


def d_optimal(pool: Pool, state: State) -> np.ndarray:
    """ln det(1 + H_s)."""
    reach = pool.x @ state.covariance
    pairs = zip(pool.apart(pool.x), pool.apart(reach), strict=True)
    return np.array([np.linalg.slogdet(np.eye(len(x)) + own @ x.T)[1] for x, own in pairs])


def v_optimal(pool: Pool, state: State) -> np.ndarray:
    """tr(W G_C⁻¹) before less after, for all rows as they weigh in the loss."""
    return _falls(pool, state, pool.gram)


def both_optimal(pool: Pool, state: State) -> np.ndarray:
    """ln tr(W_E G_C⁻¹) + ln tr(W_F G_C⁻¹) before less after."""
    shares = [_falls(pool, state, W) / (W * state.covariance).sum() for W in (pool.energies, pool.forces)]
    return -np.log1p(-np.array(shares)).sum(axis=0)


def _falls(pool: Pool, state: State, W: np.ndarray) -> np.ndarray:
    """tr(W G_C⁻¹) before less after, for each structure."""
    reach = pool.x @ state.covariance
    rows = zip(*map(pool.apart, (pool.x, reach, reach @ W)), strict=True)
    return np.array(
        [np.trace(np.linalg.solve(np.eye(len(x)) + own @ x.T, far @ own.T)) for x, own, far in rows]
    )


def cook_stepwise(pool: Pool, state: State) -> np.ndarray:
    """e_sᵀ (1 + H_s)⁻¹ H_s e_s; sees all labels."""
    rows = zip(*map(pool.apart, (pool.x, pool.x @ state.covariance, _missed(pool, state))), strict=True)
    return np.array([e @ np.linalg.solve(np.eye(len(x)) + own @ x.T, own @ (x.T @ e)) for x, own, e in rows])


def variance(pool: Pool, w: np.ndarray) -> float:
    """V of weighted structures, [S] in [0, 1]."""
    return float((pool.gram * _weighted(pool, w).covariance).sum())


def variance_bound(pool: Pool, limit: float, steps: int = 100) -> float:
    """What V of no choice within so many atoms is below."""
    w = np.full(len(pool.cost), min(1.0, limit / pool.cost.sum()))
    best = 0.0
    for step in range(steps):
        covariance = _weighted(pool, w).covariance
        rows = ((pool.x @ (covariance @ pool.gram @ covariance)) * pool.x).sum(axis=1)
        slope = -np.array([own.sum() for own in pool.apart(rows)])
        corner = _fullest(slope, pool.cost, limit)
        best = max(best, (pool.gram * covariance).sum() + slope @ (corner - w))
        w = w + 2 / (step + 2) * (corner - w)
    return best


def _weighted(pool: Pool, w: np.ndarray) -> State:
    each = np.repeat(w, [len(rows) for rows in pool.apart(pool.y)])
    weighed = each[:, None] * pool.x
    return _known(pool.x.T @ weighed, weighed.T @ pool.y)


def _fullest(slope: np.ndarray, cost: np.ndarray, limit: float) -> np.ndarray:
    """The w in [0, 1] of cost at most `limit` with the smallest slope · w, where no slope is positive."""
    order = np.argsort(slope / cost)
    before = np.cumsum(cost[order]) - cost[order]
    w = np.zeros(len(cost))
    w[order] = np.clip((limit - before) / cost[order], 0.0, 1.0)
    return w
