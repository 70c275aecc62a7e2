"""Choosing structures: MSC and covers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from measuring import Record, Sample, Samples, interleave, make_record, timed
from setting import BEST, DEFAULT, OURS, Setting, quests

import quests_jax as qj
from quests_jax.cover.masses.dense_or_sparse import DenseMasses

FLOAT64 = OURS["float64"]
KEPT = 0.5  # of the structures by MSC
COVERED = 0.1  # of the structures by covers
MANY = 2000  # structures of the pool for lazy against plain greedy
PLAIN = 5  # picks of the plain loop that are timed; every pick costs it the same
LAZY, LOOP = "lazy greedy cover", "plain greedy loop"


def msc(setting: Setting) -> Iterator[Record]:
    """MSC to half of the structures from given descriptors, entropies of the structures included."""
    data = setting.inputs.cover
    starts = np.searchsorted(data.envs.structure_id, np.arange(data.envs.n_structures))
    picks = int(np.ceil(KEPT * data.envs.n_structures))
    run = timed(lambda: qj.msc(data.envs, size=picks).selected.tolist())
    first = {FLOAT64: run().seconds}
    files = {"x": setting.save("msc x", data.x), "starts": setting.save("msc starts", starts)}
    theirs = quests(setting, "msc", files | {"size": picks})
    samples = interleave({FLOAT64: run} | theirs.contenders, setting.rounds)
    facts = {"n": len(data.x), "picks": picks, "first_call": first, "quests_best": theirs.settings}
    pairs = [(BEST, FLOAT64), (DEFAULT, FLOAT64)]
    yield make_record("msc", data.name, samples, pairs, **facts, **_agreement(samples))


def greedy(setting: Setting) -> Iterator[Record]:
    """Lazy greedy cover against a plain loop over the same masses, for many structures of the pool."""
    pool = setting.inputs.pool
    order = np.random.default_rng(setting.seed).permutation(pool.envs.n_structures)[:MANY]
    envs = qj.environments([pool.structures[s] for s in np.sort(order)])
    problem = qj.cover_problem(envs)
    picks = max(1, round(COVERED * envs.n_structures))
    lazy = timed(lambda: qj.greedy_cover(problem, size=picks).selected.tolist())
    first = {LAZY: lazy().seconds}

    columns = _columns(problem)

    def loop() -> Sample:
        sample = timed(lambda: _plain(columns, len(problem.weights), min(PLAIN, picks)))()
        return Sample(sample.seconds * picks / min(PLAIN, picks), sample.value)

    samples = interleave({LAZY: lazy, LOOP: loop}, setting.rounds)
    chosen, expected = samples[LAZY][-1].value, samples[LOOP][-1].value
    facts = {"n": len(np.asarray(envs.x)), "n_structures": envs.n_structures, "picks": picks}
    facts |= {"first_call": first, "same_picks": chosen[: len(expected)] == expected}
    yield make_record("greedy cover", pool.name, samples, [(LOOP, LAZY)], **facts)


def _plain(columns: Sequence[tuple[np.ndarray, np.ndarray]], n: int, picks: int) -> list[int]:
    """Greedy picks with the gain of every structure computed for every pick, by NumPy."""
    chosen: list[int] = []
    mass = np.zeros(n)
    for _ in range(picks):
        room = np.maximum(1 - mass, 0)
        gains = [np.minimum(values, room[where]).sum() for where, values in columns]
        best = int(np.argmax([-1 if s in chosen else gain for s, gain in enumerate(gains)]))
        where, values = columns[best]
        mass[where] += values
        chosen.append(best)
    return chosen


def _columns(problem: qj.CoverProblem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Environments at which each structure has mass, and the mass."""
    masses = problem.masses
    if isinstance(masses, DenseMasses):
        return [(np.arange(len(problem.weights)), row) for row in np.asarray(masses.values)]
    environment, values, start = map(np.asarray, (masses.environment, masses.values, masses.start))
    return [(environment[a:b], values[a:b]) for a, b in itertools.pairwise(start)]


def relaxed(setting: Setting) -> Iterator[Record]:
    """The relaxed cover against the greedy one of the same problem, which is built beforehand."""
    data = setting.inputs.cover
    problem = qj.cover_problem(data.envs)
    contenders = {
        "relaxed cover": timed(lambda: qj.relaxed_cover(problem, size=COVERED)),
        "greedy cover": timed(lambda: qj.greedy_cover(problem, size=COVERED)),
    }
    first = {name: run().seconds for name, run in contenders.items()}
    samples = interleave(contenders, setting.rounds)
    certified = samples["relaxed cover"][-1].value.certified_ratio
    facts = {"n": len(data.x), "first_call": first, "certified_ratio": certified}
    yield make_record("relaxed cover", data.name, samples, [("relaxed cover", "greedy cover")], **facts)


def _agreement(samples: Samples) -> Record:
    """How many of the first picks are those of QUESTS; it leaves ties and infinite scores to chance."""
    if BEST not in samples:
        return {}
    ours, theirs = samples[FLOAT64][-1].value, samples[BEST][-1].value
    return {"same_first_picks": _common_prefix(ours, theirs)}


def _common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    return next((number for number, (s, t) in enumerate(zip(a, b, strict=True)) if s != t), len(a))
