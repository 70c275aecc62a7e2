"""QUESTS behind a pipe: one JSON request per line, answered with the time it took and what it computed.

Runs in the interpreter that has QUESTS. Everything is compiled before the first request, and files are
read before the clock starts.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec

if find_spec("quests") is None:
    sys.exit("QUESTS is not installed here; it is left out of the comparison")

import numba
import numpy as np
from ase import Atoms
from ase.io import read
from quests.compression.fps import msc
from quests.descriptor import get_descriptors
from quests.entropy import delta_entropy, entropy


def _entropy(x, **options):
    return float(entropy(x, **options))


def _delta_entropy(y, x, **options):
    return float(np.exp(-delta_entropy(y, x, **options)).mean())


def _msc(x, starts, size, **options):
    parts = np.split(x, starts[1:])
    entropies = np.array([entropy(part, **options) for part in parts])
    return [int(s) for s in msc(parts, entropies, size, **options)]


def _descriptors(structures):
    return float(get_descriptors(structures).sum())


TASKS = {"entropy": _entropy, "delta_entropy": _delta_entropy, "msc": _msc, "descriptors": _descriptors}


@functools.cache
def _loaded(path):
    return np.load(path) if path.endswith(".npy") else read(path, ":")


def _compile():
    x = np.random.default_rng(0).normal(size=(64, 63))
    for options in ({}, {"batch_size": 32}):
        _delta_entropy(x, x, **options)
        _msc(x, np.array([0, 32]), 2, **options)
    atoms = Atoms("H8", np.random.default_rng(0).uniform(0, 8, (8, 3)), cell=[8.0] * 3)
    for periodic in (False, True):
        atoms.pbc = periodic
        get_descriptors([atoms])


def _answer(task, threads, inputs, options):
    numba.set_num_threads(threads or numba.config.NUMBA_NUM_THREADS)
    inputs = {name: _loaded(value) if isinstance(value, str) else value for name, value in inputs.items()}
    start = time.perf_counter()
    value = TASKS[task](**inputs, **options)
    return {"seconds": time.perf_counter() - start, "value": value}


def _main():
    np.seterr(divide="ignore")  # logarithms of sums that underflow
    pipe, sys.stdout = sys.stdout, sys.stderr  # what QUESTS prints must not get between the answers
    _compile()
    versions = {name: version(name) for name in ("quests", "numba", "numpy", "ase")}
    print(
        json.dumps({"versions": versions, "threads": numba.config.NUMBA_NUM_THREADS}), file=pipe, flush=True
    )
    for line in sys.stdin:
        print(json.dumps(_answer(**json.loads(line))), file=pipe, flush=True)


if __name__ == "__main__":
    _main()
