"""Choosing structures: MSC and covers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from measuring import Record, Samples, Skipped, interleave, make_record, timed
from setting import BEST, DEFAULT, OURS, Setting, quests

import quests_jax as qj

FLOAT64 = OURS["float64"]
KEPT = 0.5  # of the structures by MSC
COVERED = 0.1  # of the structures by covers


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


def relaxed(setting: Setting) -> Iterator[Record]:
    """The relaxed cover against the greedy one of the same problem, which is built beforehand."""
    try:
        from quests_jax.cover import relaxed_cover
    except ImportError:
        raise Skipped("this version has no relaxed_cover") from None
    data = setting.inputs.cover
    problem = qj.cover_problem(data.envs)
    contenders = {
        "relaxed cover": timed(lambda: relaxed_cover(problem, size=COVERED)),
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
