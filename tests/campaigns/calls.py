"""Random arguments of kernel sums, their exponents in longdouble, and what a call is judged by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from quests_jax.base import step_sizes
from quests_jax.base.environments import make_environments
from quests_jax.information.sums import kernel_sums

LONG = np.longdouble
ROWS, TILE = 64, 16
SIZES = (1, 15, 16, 17, 64)  # on both sides of a tile, and all that are padded for
THRESHOLDS = ((512, 512), (513, 512))  # the last dense sum, and the first by tiles
WAYS = {"tiles": 0.6, "dense": 0.37, "thresholds": 0.03}
WIDTHS = {1: 0.2, 3: 0.4, 63: 0.3, 2000: 0.1}  # with the share of calls of each
FEWER = {3: 0.7, 63: 0.3}  # for all but the sums that the others are made of
DTYPES = {"float64": 0.5, "float32": 0.4, "float16": 0.05, "bfloat16": 0.05}
RELATIVE = {"float64": 2e-12, "float32": 2e-5}  # promised error of a sum
SKIPPED = 1e-12


class Call(NamedTuple):
    """Arguments of a sum, as arrays of `dtype`; x is float32 in some calls of float64."""

    y: Any
    x: Any
    h: float
    w: np.ndarray
    v: np.ndarray
    group: np.ndarray
    elements: tuple[np.ndarray, np.ndarray] | None  # of y and of x, where they are told apart
    dtype: str
    seed: int

    @property
    def working(self) -> str:
        return "float64" if self.dtype == "float64" else "float32"

    @property
    def eps(self) -> float:
        return float(jnp.finfo(self.working).eps)

    @property
    def output_eps(self) -> float:
        return float(jnp.finfo(self.dtype).eps)

    @property
    def sides(self) -> tuple[Any, Any]:
        """What is handed to a function: arrays, or environments of elements that are told apart."""
        if self.elements is None:
            return self.y, self.x
        one = lambda rows, Z: make_environments(rows, np.zeros(len(rows), int), 1, Z)  # noqa: E731
        return one(self.y, self.elements[0]), one(self.x, self.elements[1])

    def exponents(self, h: float | None = None) -> np.ndarray:
        """−|y − x|²/2h², and −∞ between two elements that are told apart."""
        s = exponents(self.y, self.x, self.h if h is None else h, self.working)
        return s if self.elements is None else np.where(unlike(*self.elements), -np.inf, s)

    def own_exponents(self) -> np.ndarray:
        """The same of x with itself."""
        s = exponents(self.x, self.x, self.h, self.working)
        return (
            s if self.elements is None else np.where(unlike(self.elements[1], self.elements[1]), -np.inf, s)
        )


class Judged(NamedTuple):
    """What a call gives, what it should give, and the error that is promised."""

    found: Any
    expected: np.ndarray
    allowed: Any


def unlike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one[:, None] != other[None]


def small_tiles(way: str) -> Callable[[], None]:
    """Patch tiles to `TILE` rows and all arrays to `ROWS`; returns what undoes it.

    At the thresholds themselves nothing is patched.
    """
    before = step_sizes.TILE, kernel_sums._padded

    def padded(rows, size, origin=0):
        del size
        rows = rows - origin
        added = ((0, ROWS - len(rows)), *[(0, 0)] * (rows.ndim - 1))
        return jnp.asarray(np.pad(rows, added)) if isinstance(rows, np.ndarray) else jnp.pad(rows, added)

    if way != "thresholds":
        step_sizes.TILE, kernel_sums._padded = TILE, padded
    here = step_sizes.here()
    steps = step_sizes.computing_as(here._replace(dense=0) if way == "tiles" else here)
    steps.__enter__()

    def undo() -> None:
        step_sizes.TILE, kernel_sums._padded = before
        steps.__exit__(None, None, None)

    return undo


def draw(
    rng: np.random.Generator, way: str, widths: dict[int, float] = WIDTHS, dtypes: dict[str, float] = DTYPES
) -> Call:
    """Arguments, all of them finite."""
    d = int(rng.choice(list(widths), p=list(widths.values())))
    dtype = str(rng.choice(list(dtypes), p=list(dtypes.values())))
    m, n = (int(rng.choice(SIZES)) for _ in range(2))
    if way == "thresholds":
        (m, n), d = THRESHOLDS[rng.integers(len(THRESHOLDS))], 3
        dtype = "float64" if dtype == "float64" else "float32"
    half = dtype in ("float16", "bfloat16")
    scale = 10 ** rng.uniform(-1, 1) if half else 10 ** rng.uniform(-8, 8)
    h = float(scale * np.sqrt(d) * 10 ** rng.uniform(-2.5, 1.5))
    x = rng.normal(size=(n, d)) * rng.choice((1, 0.01), size=(n, 1))
    if rng.random() < 0.3:
        x = x + rng.normal(size=(1, d)) * 10 ** rng.uniform(0, 1 if half else 3)
    y = x[rng.integers(n, size=m)] + rng.normal(size=(m, d)) * rng.choice((0, 1e-3, 0.3, 1), size=(m, 1))
    if rng.random() < 0.3 and not half:
        y[rng.integers(m)] += 10 ** rng.uniform(0, 5)
    if rng.random() < 0.2 and not half:
        x[rng.integers(n)] += 10 ** rng.uniform(0, 5)
    w = np.where(rng.random(n) < 0.3, 0, 10 ** rng.uniform(-3, 3, n))
    w[rng.integers(n)] = 1
    v = rng.normal(size=(n, 2)) * 10 ** rng.uniform(-6, 6)
    group = rng.integers(0, 4, n) * 2 ** int(rng.choice((0, 32)))
    told_apart = not half and rng.random() < 0.25
    elements = (rng.integers(1, 4, m), rng.integers(1, 3, n)) if told_apart else None
    cast = (lambda a: jnp.asarray(a * scale).astype(dtype)) if half else (lambda a: (a * scale).astype(dtype))
    of_x = np.float32 if dtype == "float64" and rng.random() < 0.1 else dtype
    return Call(cast(y), cast(x).astype(of_x), h, w, v, group, elements, dtype, int(rng.integers(2**31)))


def long(a: Any) -> np.ndarray:
    return (a if isinstance(a, np.ndarray) else np.asarray(a).astype(np.float64)).astype(LONG)


def exponents(y: Any, x: Any, h: float, working: str) -> np.ndarray:
    """−|y − x|²/2h² by differences, with the bandwidth as it is rounded."""
    y, x, h = long(y), long(x), LONG(np.dtype(working).type(h))
    return -np.stack([(((row[None] - x) / h) ** 2).sum(axis=1) for row in y]) / 2


def log_sums(s: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
    """ln Σ_j w_j e^s_ij; −∞ for a row without terms."""
    s = s if w is None else s + np.log(w.astype(LONG))[None]
    top = np.maximum(s.max(axis=1, keepdims=True), -1e300)
    return top[:, 0] + np.log(np.exp(s - top).sum(axis=1))


def log_error(call: Call, L: np.ndarray) -> np.ndarray:
    """Error of ln Σ_j: the relative error of a sum, or eps (r/h)² where that is more, and rounding."""
    finite = np.where(np.isfinite(L), np.abs(L), 0).astype(float)
    if call.dtype == "float16":  # whose largest number is 65504
        finite = np.where(finite > 6e4, np.inf, finite)
    return RELATIVE[call.working] + 32 * call.eps * finite + call.output_eps * (1 + finite)


def sum_error(call: Call, total: np.ndarray) -> np.ndarray:
    """Error of sums of kernels that are formed directly, relative and of what is skipped."""
    relative = RELATIVE[call.working] + (ROWS + 32 * 30) * call.eps + 2 * call.output_eps
    return relative * np.abs(total).astype(float) + SKIPPED + float(jnp.finfo(call.dtype).tiny)


def own_sums(call: Call, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of a set with itself, and their errors."""
    p = np.exp(call.own_exponents()) @ w.astype(LONG)
    relative = RELATIVE[call.working] + len(p) * call.eps + 2 * call.output_eps
    return p, relative * p.astype(float) + SKIPPED * w.max() + float(jnp.finfo(call.dtype).tiny)


def judge(judged: Judged) -> str:
    """Right, or what is wrong."""
    found, expected = np.asarray(long(judged.found)), np.asarray(judged.expected)
    if found.shape != expected.shape:
        return f"shape {found.shape} for {expected.shape}"
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    allowed = np.broadcast_to(judged.allowed, expected.shape)
    right = same | np.isinf(allowed) | (np.abs(found - expected) <= allowed)
    if np.all(right):
        return "right"
    worst = np.where(same, 0, np.abs(found - expected) / allowed)
    place = int(np.argmax(np.where(right, -1, np.where(np.isnan(worst), np.inf, worst))))
    return (
        f"wrong by {worst.flat[place]:.3g} times what is promised: {float(found.flat[place]):.9g} for "
        f"{float(expected.flat[place]):.9g} at {place}"
    )
