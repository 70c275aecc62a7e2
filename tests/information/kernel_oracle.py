"""Slow, obvious float64 transcriptions of the equations, and a few kinds of data to try them on."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

DIMENSION = 9  # of rows wherever a law is not about widths: a program is compiled once for all of them


def exponents(y: np.ndarray, x: np.ndarray, h: float) -> np.ndarray:
    """−|y_i − x_j|²/2h², from differences."""
    return -cdist(np.asarray(y, float), np.asarray(x, float), "sqeuclidean") / (2 * h**2)


def log_sum(y: np.ndarray, x: np.ndarray, h: float, w: np.ndarray | None = None) -> np.ndarray:
    return np.asarray(logsumexp(exponents(y, x, h), axis=1, b=None if w is None else w[None]))


def kernel(y: np.ndarray, x: np.ndarray, h: float) -> np.ndarray:
    return np.exp(exponents(y, x, h))


def entropy(x: np.ndarray, h: float) -> float:
    return -np.mean(np.log(kernel(x, x, h).mean(axis=1)))


def diversity(x: np.ndarray, h: float) -> float:
    return np.log(np.sum(1 / kernel(x, x, h).sum(axis=1)))


def cloud(n: int, scale: float, seed: int = 0) -> np.ndarray:
    """n points of typical distance scale·√(2d), with exact copies among them."""
    x = np.random.default_rng(seed).normal(size=(n, DIMENSION)) * scale
    x[n // 2 : n // 2 + n // 10] = x[: n // 10]
    return x


def clusters(n: int, seed: int = 0) -> np.ndarray:
    """Tight groups far from one another: most tile pairs can be skipped."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(max(n // 100, 1), DIMENSION)) * 0.5
    return centers[rng.integers(len(centers), size=n)] + rng.normal(size=(n, DIMENSION)) * 0.01


# Two sizes of program only: up to 256 rows (dense) and up to 1024 (streamed).
DATA = {
    "within the bandwidth": cloud(1000, 0.003),
    "around the bandwidth": cloud(1000, 0.015, 1),
    "far apart": cloud(1000, 0.3, 2),
    "clusters": clusters(1000),
    "tight and wide": np.concatenate([cloud(500, 0.003, 4), 0.5 + cloud(500, 0.3, 5)]),
    "one": cloud(1, 0.1),
    "small": cloud(100, 0.02, 3),
}
