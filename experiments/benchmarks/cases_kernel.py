"""Kernel sums: entropy of data sets and of growing parts of one, delta entropy, gradient of the entropy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

import jax
import numpy as np
from baselines import dense_entropy
from inputs import DataSet
from measuring import Contender, Record, interleave, make_record, process, timed
from setting import BEST, DEFAULT, NUMPY, OURS, ROOFLINES, Quests, Setting, against, quests

import quests_jax as qj

PEER_ROWS = 30_000  # QUESTS is timed on at most so many random rows; its time is exactly quadratic
BATCHED_ROWS = 20_000  # of one batch as QUESTS comes; two such batches at once need some 25 GB
SEARCH_ROWS = 10_000  # rows on which its best settings are searched
DENSE_ROWS = 20_000  # NumPy is timed up to here
GRADIENT_ROWS = 20_000
DELTA_ROWS = 20_000  # of the two halves together

GRADIENT = (  # a whole program, for its peak memory
    "import sys, jax, numpy as np, quests_jax as qj; jax.config.update('jax_enable_x64', True); "
    "jax.block_until_ready(jax.grad(qj.entropy)(np.load(sys.argv[1])))"
)


def entropy(setting: Setting) -> Iterator[Record]:
    """Entropy of whole data sets."""
    for data in setting.inputs.entropy:
        yield _entropy_record(setting, "entropy", data, data.x)


def scaling(setting: Setting) -> Iterator[Record]:
    """Entropy of random parts of the pool."""
    pool = setting.inputs.pool
    for n in setting.sizes:
        if n <= len(pool.x):
            yield _entropy_record(setting, "scaling", pool, setting.rows(pool.x, n))


def delta_entropy(setting: Setting) -> Iterator[Record]:
    """Delta entropy of a test set, and of one half of a part of the pool against the other half."""
    test, cover, pool = setting.inputs.test, setting.inputs.cover, setting.inputs.pool
    part = setting.rows(pool.x, DELTA_ROWS)
    yield _delta_record(setting, f"{test.name} | {cover.name}", test.x, cover.x)
    yield _delta_record(setting, f"{pool.name}, halves", part[::2], part[1::2])


def gradient(setting: Setting) -> Iterator[Record]:
    """Gradient of the entropy in every descriptor against the value, and the memory of a whole program."""
    for data in setting.inputs.gradient:
        yield _gradient_record(setting, data.name, setting.rows(data.x, GRADIENT_ROWS))


def _entropy_record(setting: Setting, case: str, data: DataSet, x: np.ndarray) -> Record:
    """Entropy of x, which is all of the data set or a part of it."""
    n = len(x)
    contenders = _both(lambda rows: float(qj.entropy(rows)), x)
    first = {ours: run().seconds for ours, run in contenders.items()}
    theirs = _quests_entropy(setting, case, data, x)
    contenders |= theirs.contenders
    if n <= DENSE_ROWS:
        contenders[NUMPY] = timed(partial(dense_entropy, x))
    contenders |= {ROOFLINES[dtype]: roofline.sampler(n**2) for dtype, roofline in setting.roofline.items()}
    samples = interleave(contenders, setting.rounds)
    pairs = [*against(BEST, DEFAULT, NUMPY), *((ROOFLINES[dtype], ours) for dtype, ours in OURS.items())]
    facts = {"n": n, "first_call": first, "quests_best": theirs.settings}
    return make_record(case, data.name, samples, pairs, **facts, quests_rows=min(n, PEER_ROWS))


def _quests_entropy(setting: Setting, case: str, data: DataSet, x: np.ndarray) -> Quests:
    part = setting.rows(x, PEER_ROWS) if len(x) > PEER_ROWS else x
    search = setting.rows(data.x, SEARCH_ROWS)
    return quests(
        setting,
        "entropy",
        {"x": setting.save(f"{case} {data.name} {len(x)}", part)},
        search={"x": setting.save(f"search {data.name}", search)},
        default=case == "entropy" and len(x) <= BATCHED_ROWS,
        scale=(len(x) / len(part)) ** 2,
    )


def _delta_record(setting: Setting, name: str, y: np.ndarray, x: np.ndarray) -> Record:
    contenders = _both(lambda y, x: float(np.exp(-qj.delta_entropy(y, x)).mean()), y, x)
    first = {ours: run().seconds for ours, run in contenders.items()}
    files = {"y": setting.save(f"{name} y", y), "x": setting.save(f"{name} x", x)}
    search = {
        "y": setting.save(f"search {name} y", y[: SEARCH_ROWS // 2]),
        "x": setting.save(f"search {name} x", x[: SEARCH_ROWS // 2]),
    }
    theirs = quests(setting, "delta_entropy", files, search=search)
    samples = interleave(contenders | theirs.contenders, setting.rounds)
    facts = {"n": len(x), "m": len(y), "first_call": first, "quests_best": theirs.settings}
    return make_record("delta entropy", name, samples, against(BEST, DEFAULT), **facts)


def _gradient_record(setting: Setting, name: str, x: np.ndarray) -> Record:
    differentiate = jax.jit(jax.grad(qj.entropy))
    contenders = {
        "value": timed(lambda: float(qj.entropy(x))),
        "gradient": timed(lambda: jax.block_until_ready(differentiate(x))),
    }
    first = {kind: run().seconds for kind, run in contenders.items()}
    samples = interleave(contenders, setting.rounds)
    file = setting.save(f"gradient {name}", x)
    samples["program with gradient"] = [process([sys.executable, "-c", GRADIENT, file])]
    facts = {"n": len(x), "dtype": "float64", "first_call": first}
    return make_record("gradient", name, samples, [("gradient", "value")], **facts)


def _both(work: Callable[..., float], *rows: np.ndarray) -> dict[str, Contender]:
    """This library in both dtypes."""
    cast = {dtype: [x.astype(dtype) for x in rows] for dtype in OURS}
    return {name: timed(partial(work, *cast[dtype])) for dtype, name in OURS.items()}
