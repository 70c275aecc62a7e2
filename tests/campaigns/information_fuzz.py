"""Random calls of every public sum and measure of `information` against loops in longdouble.

Each call draws a function, a dtype, a width, sizes on both sides of a tile, a magnitude between 1e-8 and 1e8,
a bandwidth, rows far away, weights with zeros and, in one call of five, one bad entry. A call is right if it
refuses the bad entry by name, and if its numbers are within the error that `information.sums` promises.

    python tests/campaigns/information_fuzz.py 10000

Tiles are small here, so that few rows fill many, and all sizes share the programs of 64 rows.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax import information as qi
from quests_jax.base.checks import InputError
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.information.sums import dense, kernels, tiles

LONG = np.longdouble
ROWS, TILE = 64, 16
SIZES = (1, 15, 16, 17, 64)
WIDTHS = {1: 0.2, 3: 0.35, 63: 0.4, 2000: 0.05}  # with the share of calls of each
DTYPES = {"float64": 0.5, "float32": 0.4, "float16": 0.05, "bfloat16": 0.05}
RELATIVE = {"float64": 2e-12, "float32": 2e-5}  # promised error of a sum
SKIPPED = 1e-12


class Call(NamedTuple):
    """Arguments of a sum, as arrays of `dtype`."""

    y: Any
    x: Any
    h: float
    w: np.ndarray
    v: np.ndarray
    group: np.ndarray
    dtype: str

    @property
    def working(self) -> str:
        return "float64" if self.dtype == "float64" else "float32"

    @property
    def eps(self) -> float:
        return float(jnp.finfo(self.working).eps)

    @property
    def output_eps(self) -> float:
        return float(jnp.finfo(self.dtype).eps)


def small_tiles() -> Callable[[], None]:
    """Patch tiles to `TILE` rows and all arrays to `ROWS`; returns what undoes it."""
    before = tiles.TILE, kernels.TILE, kernels._padded, dense.LARGEST

    def padded(rows):
        rows = jnp.asarray(rows)
        return jnp.pad(rows, ((0, ROWS - len(rows)), *[(0, 0)] * (rows.ndim - 1)))

    tiles.TILE, kernels.TILE, kernels._padded = TILE, TILE, lambda rows: padded(np.asarray(rows))
    jax.clear_caches()

    def undo() -> None:
        tiles.TILE, kernels.TILE, kernels._padded, dense.LARGEST = before
        jax.clear_caches()

    return undo


def draw(rng: np.random.Generator, widths: dict[int, float], dtypes: dict[str, float]) -> Call:
    """Arguments, all of them finite."""
    d = int(rng.choice(list(widths), p=list(widths.values())))
    dtype = str(rng.choice(list(dtypes), p=list(dtypes.values())))
    m, n = (int(rng.choice(SIZES)) for _ in range(2))
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
    cast = (lambda a: jnp.asarray(a * scale).astype(dtype)) if half else (lambda a: (a * scale).astype(dtype))
    return Call(cast(y), cast(x), h, w, v, group, dtype)


def long(a: Any) -> np.ndarray:
    return np.asarray(jnp.asarray(a).astype(jnp.float64) if not isinstance(a, np.ndarray) else a).astype(LONG)


def exponents(y: Any, x: Any, h: float, working: str) -> np.ndarray:
    """−|y − x|²/2h² by differences, with the bandwidth as it is rounded."""
    y, x, h = long(y), long(x), LONG(np.dtype(working).type(h))
    return -np.stack([(((row[None] - x) / h) ** 2).sum(axis=1) for row in y]) / 2


class Judged(NamedTuple):
    """What a call gives, what it should give, and the error that is promised."""

    found: Any
    expected: np.ndarray
    allowed: np.ndarray


def log_sums(s: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
    with np.errstate(divide="ignore"):
        s = s if w is None else s + np.log(w.astype(LONG))[None]
        top = np.maximum(s.max(axis=1, keepdims=True), -1e300)
        return top[:, 0] + np.log(np.exp(s - top).sum(axis=1))


def log_error(call: Call, L: np.ndarray) -> np.ndarray:
    """Error of ln Σ_j: the relative error of a sum, or eps (r/h)² where that is more, and rounding."""
    finite = np.where(np.isfinite(L), np.abs(L), 0).astype(float)
    return RELATIVE[call.working] + 32 * call.eps * finite + call.output_eps * (1 + finite)


def weights_of(call: Call) -> np.ndarray:
    return call.w.astype(call.working)


def log_kernel_sum(call: Call) -> Judged:
    L = log_sums(exponents(call.y, call.x, call.h, call.working), weights_of(call))
    found = qi.log_kernel_sum(call.y, call.x, bandwidth=call.h, weights=call.w)
    return Judged(found, L, log_error(call, L))


def delta_entropy(call: Call) -> Judged:
    L = log_sums(exponents(call.y, call.x, call.h, call.working))
    return Judged(qi.delta_entropy(call.y, call.x, bandwidth=call.h), -L, log_error(call, L))


def several_bandwidths(call: Call) -> Judged:
    hs = np.array([call.h, 3 * call.h])
    L = np.stack([log_sums(exponents(call.y, call.x, h, call.working)) for h in hs])
    return Judged(qi.delta_entropy(call.y, call.x, bandwidth=hs), -L, log_error(call, L))


def kernel_sum(call: Call) -> Judged:
    L = log_sums(exponents(call.y, call.x, call.h, call.working))
    found = qi.kernel_sum(call.y, call.x, bandwidth=call.h)
    tiny = float(jnp.finfo(call.dtype).tiny)
    return Judged(found, np.exp(L), np.exp(L).astype(float) * 2 * log_error(call, L) + 2 * tiny)


def overlap(call: Call) -> Judged:
    L = log_sums(exponents(call.y, call.x, call.h, call.working))
    limit = overlap_tolerance(jnp.dtype(call.dtype))
    doubtful = np.abs(-L - limit) <= log_error(call, L)
    found = qi.overlap(call.y, call.x, bandwidth=call.h)
    share = np.mean(-L < limit)
    return Judged(found, share, np.mean(doubtful) + 4 * call.output_eps)


def others(call: Call) -> Judged:
    s = exponents(call.x, call.x, call.h, call.working)
    s = np.where(call.group[:, None] == call.group[None], -np.inf, s)
    L = log_sums(s)
    return Judged(qi.delta_entropy_of_others(call.x, call.group, bandwidth=call.h), -L, log_error(call, L))


def self_sums(call: Call, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = np.exp(exponents(call.x, call.x, call.h, call.working)) @ w.astype(LONG)
    relative = RELATIVE[call.working] + len(p) * call.eps + 2 * call.output_eps
    return p, relative * p.astype(float) + SKIPPED * w.max() + float(jnp.finfo(call.dtype).tiny)


def self_kernel_sum(call: Call) -> Judged:
    p, error = self_sums(call, weights_of(call))
    return Judged(qi.self_kernel_sum(call.x, bandwidth=call.h, weights=call.w), p, error)


def entropy(call: Call) -> Judged:
    p, error = self_sums(call, np.ones(len(call.x)))
    H = np.log(LONG(len(p))) - np.log(p).mean()
    return Judged(qi.entropy(call.x, bandwidth=call.h), H, np.max(error / p) + 8 * call.output_eps)


def diversity(call: Call) -> Judged:
    p, error = self_sums(call, np.ones(len(call.x)))
    D = np.log((1 / p).sum())
    return Judged(qi.diversity(call.x, bandwidth=call.h), D, np.max(error / p) + 8 * call.output_eps)


def cross_kernel_sums(call: Call) -> Judged:
    K = np.exp(exponents(call.y, call.x, call.h, call.working))
    found = np.concatenate([long(part) for part in qi.cross_kernel_sums(call.y, call.x, bandwidth=call.h)])
    expected = np.concatenate([K.sum(axis=1), K.sum(axis=0)])
    return Judged(found, expected, sum_error(call, expected))


def sum_error(call: Call, total: np.ndarray) -> np.ndarray:
    """Error of sums of kernels that are formed directly, relative and of what is skipped."""
    relative = RELATIVE[call.working] + (ROWS + 32 * 30) * call.eps + 2 * call.output_eps
    return relative * np.abs(total).astype(float) + SKIPPED + float(jnp.finfo(call.dtype).tiny)


def kernel_product(call: Call) -> Judged:
    K, v = np.exp(exponents(call.y, call.x, call.h, call.working)), call.v.astype(call.working).astype(LONG)
    found = qi.kernel_product(call.y, call.x, call.v, bandwidth=call.h)
    allowed = sum_error(call, K @ np.abs(v)) + SKIPPED * float(np.abs(v).max())
    if call.dtype == "float16":
        allowed = np.where(np.abs(K @ v) > 6e4, np.inf, allowed)
    return Judged(found, K @ v, allowed)


def structure_masses(call: Call) -> Judged:
    number = (call.group // max(1, call.group.max() // 3)).clip(0, 3)
    K = np.exp(exponents(call.y, call.x, call.h, call.working))
    M = np.stack([K[:, number == s].sum(axis=1) for s in range(5)])
    found = qi.structure_masses(call.y, call.x, number, 5, bandwidth=call.h)
    return Judged(found, M, sum_error(call, M))


FUNCTIONS: dict[str, Callable[[Call], Judged]] = {
    each.__name__: each
    for each in (log_kernel_sum, delta_entropy, several_bandwidths, kernel_sum, overlap, others)
} | {
    each.__name__: each
    for each in (self_kernel_sum, entropy, diversity, cross_kernel_sums, kernel_product, structure_masses)
}
BAD = {  # what may be spoilt without changing what is refused
    "log_kernel_sum": "yxwh",
    "delta_entropy": "yxh",
    "several_bandwidths": "yxh",
    "kernel_sum": "yxh",
    "overlap": "yxh",
    "others": "xh",
    "self_kernel_sum": "xwh",
    "entropy": "xh",
    "diversity": "xh",
    "cross_kernel_sums": "yxh",
    "kernel_product": "yxvh",
    "structure_masses": "yxh",
}


def spoilt(call: Call, name: str, rng: np.random.Generator) -> Call:
    """The call with one bad entry anywhere in one argument."""
    value = float(rng.choice((np.nan, np.inf, -np.inf)))
    if name == "h":
        return call._replace(h=float(rng.choice((0.0, -1.0, np.nan, np.inf))))
    array = np.array(getattr(call, name), call.working)
    array[tuple(int(rng.integers(size)) for size in array.shape)] = value
    return call._replace(**{name: array if name in "wv" else array.astype(call.working)})


def judge(name: str, call: Call) -> str:
    """Right, or what is wrong."""
    found, expected, allowed = FUNCTIONS[name](call)
    found, expected = np.asarray(long(found)), np.asarray(expected)
    same = (found == expected) | (
        np.isinf(expected) & np.isinf(found) & (np.sign(found) == np.sign(expected))
    )
    with np.errstate(invalid="ignore"):
        close = np.abs(found - expected) <= allowed
    if found.shape == expected.shape and np.all(same | close):
        return "right"
    with np.errstate(invalid="ignore", divide="ignore"):
        worst = float(np.nanmax(np.where(same, 0, np.abs(found - expected) / allowed), initial=np.nan))
    return f"wrong by {worst:.3g} times what is promised"


def one(
    seed: int, widths: dict[int, float] = WIDTHS, dtypes: dict[str, float] = DTYPES
) -> tuple[str, str, str]:
    """Name of the function, what came of it, and the arguments in words."""
    rng = np.random.default_rng(seed)
    name = str(rng.choice(list(FUNCTIONS)))
    call = draw(rng, widths, dtypes)
    bad = str(rng.choice(list(BAD[name]))) if rng.random() < 0.2 else ""
    if bad:
        call = spoilt(call, bad, rng)
    way = "dense" if dense.LARGEST else "tiles"
    words = f"{way} {call.dtype} y{np.shape(call.y)} x{np.shape(call.x)} h={call.h:.3g} bad={bad}"
    try:
        verdict = judge(name, call)
    except InputError as refusal:
        verdict = "refused" if bad else f"refused what is right: {refusal}"
        return name, verdict, words
    return name, f"silent about a bad {bad}" if bad else verdict, words


def campaign(
    seeds: range,
    tell: Callable[[str], None] = print,
    widths: dict[int, float] = WIDTHS,
    dtypes: dict[str, float] = DTYPES,
) -> Counter[str]:
    """Counts of what came of the calls; whatever is wrong is told at once."""
    undo, count = small_tiles(), Counter()
    try:
        for largest in (0, 2**18):  # even seeds by tiles, odd ones at once; a program does not know which
            jax.clear_caches()
            dense.LARGEST = largest
            for seed in seeds:
                if seed % 2 != (largest > 0):
                    continue
                with np.errstate(all="ignore"):
                    name, verdict, words = one(seed, widths, dtypes)
                right = verdict in ("right", "refused")
                count[verdict if right else "wrong"] += 1
                if not right:
                    tell(f"seed {seed}: {name}: {verdict} ({words})")
                if count.total() % 100 == 0:
                    tell(f"{count.total()} calls: {dict(count)}")
    finally:
        undo()
    return count


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    total = campaign(range(first, first + int(sys.argv[1])), lambda line: print(line, flush=True))
    print(dict(total), flush=True)
    sys.exit(total["wrong"] > 0)
