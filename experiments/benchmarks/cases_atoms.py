"""Descriptors of data sets."""

from __future__ import annotations

from collections.abc import Iterator

from inputs import DataSet
from measuring import Record, interleave, make_record, timed
from setting import BEST, DEFAULT, OURS, Setting, quests

import quests_jax as qj

FLOAT64 = OURS["float64"]


def descriptors(setting: Setting) -> Iterator[Record]:
    """Descriptors of structures that are in memory."""
    for data in setting.inputs.descriptors:
        yield _record(setting, data)


def _record(setting: Setting, data: DataSet) -> Record:
    run = timed(lambda: float(qj.get_descriptors(data.structures).sum()))
    first = {FLOAT64: run().seconds}
    file = setting.save_structures(data.name, data.structures)
    theirs = quests(setting, "descriptors", {"structures": file})
    samples = interleave({FLOAT64: run} | theirs.contenders, setting.rounds)
    facts = {"n": len(data.x), "n_structures": len(data.structures), "first_call": first}
    pairs = [(BEST, FLOAT64), (DEFAULT, FLOAT64)]
    return make_record("descriptors", data.name, samples, pairs, **facts, quests_best=theirs.settings)
