"""Mutated files of the formats of large data: each is read, or refused in one line, in bounded time.

    python tests/campaigns/large_formats_fuzz.py [mutations per format]

Every file is read in a process of its own, because a reader in C may end its process.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from atoms.test_large_formats import MOLECULES, WRITERS, conformations, labelled
from campaigns.files_fuzz import in_use

import quests_jax as qj
from quests_jax.base.checks import InputError

SECONDS, BYTES = 5.0, 1 << 30
CHUNK = 50
NAMES = (*WRITERS, *MOLECULES)


def write(path: Path) -> int:
    """Write a sound file, and say how many structures it holds."""
    if path.name in MOLECULES:
        MOLECULES[path.name](path)
        return len(conformations()[1])
    WRITERS[path.name](path, labelled())
    return len(labelled())


def mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    """One flipped byte, a cut, a repeated or an overwritten piece."""
    content = bytearray(whole)
    place = int(rng.integers(len(content)))
    kind = rng.integers(4)
    if kind == 0:
        content[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del content[place:]
    elif kind == 2:
        content[place:place] = content[place : place + int(rng.integers(1, 200))]
    else:
        content[place : place + 8] = rng.bytes(8)
    return bytes(content)


def outcome(path: Path, count: int) -> str:
    """What reading one file came to."""
    start = time.process_time()
    try:
        found = "read" if len(qj.read(path)) == count else "read in part"
    except InputError as error:
        found = "refused" if "\n" not in str(error) else "several lines"
    except Exception as error:
        found = f"traceback: {type(error).__name__}: {error}"
    return found if time.process_time() - start < SECONDS else "too slow"


def read_chunk(name: str, seed: int, results: multiprocessing.Queue) -> None:
    """Read some mutations of one format, and report each before the next begins."""
    limit = in_use("VmData") + BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        count = write(path)
        whole = path.read_bytes()
        for _ in range(CHUNK):
            path.write_bytes(mutated(whole, rng))
            results.put(outcome(path, count))


def main(count: int) -> None:
    """Count the outcomes of each format."""
    for name in NAMES:
        found: Counter[str] = Counter()
        for seed in range(-(-count // CHUNK)):
            results: multiprocessing.Queue = multiprocessing.Queue()
            child = multiprocessing.get_context("fork").Process(target=read_chunk, args=(name, seed, results))
            child.start()
            child.join(CHUNK * SECONDS)
            if child.exitcode != 0:
                found[f"ended by signal {child.exitcode}"] += 1
                child.kill()
            while not results.empty():
                found[results.get()] += 1
        print(name, dict(found), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
