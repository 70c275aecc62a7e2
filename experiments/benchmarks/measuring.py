"""Times taken in turns, and what one measurement leaves behind in the results."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

LAUNCHER = Path(__file__).with_name("launcher.py")
ENOUGH = 0.5  # seconds per contender after which no more rounds are needed
MOST_ROUNDS = 9


class Sample(NamedTuple):
    """One run: how long it took, what it computed, and for a process the most memory it held."""

    seconds: float
    value: Any = None
    peak_bytes: int | None = None
    processor_seconds: float | None = None  # of a process; tells more than wall time on a busy machine


Contender = Callable[[], Sample]
Samples = dict[str, list[Sample]]
Record = dict[str, Any]


def timed(work: Callable[[], Any]) -> Contender:
    """A contender that does `work`, which must wait for its own result."""

    def run() -> Sample:
        start = time.perf_counter()
        value = work()
        return Sample(time.perf_counter() - start, value)

    return run


def process(command: Sequence[str], **environment: str) -> Sample:
    """Times and peak memory of a whole process, started by a small one so that only it is counted."""
    answer = subprocess.run(
        [sys.executable, "-S", str(LAUNCHER), json.dumps(environment), *command],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{answer.stderr}")
    return Sample(value=None, **json.loads(answer.stdout))


def interleave(contenders: Mapping[str, Contender], rounds: int) -> Samples:
    """Run every contender once per round, in turns, so that all see the same changes of the machine.

    At least `rounds` rounds, and of short runs up to `MOST_ROUNDS` while they take less than `ENOUGH`
    seconds each; a single round stays single.
    """
    samples: Samples = {name: [] for name in contenders}
    spent = 0.0
    for number in range(rounds if rounds == 1 else max(rounds, MOST_ROUNDS)):
        if number >= rounds and spent > ENOUGH * len(contenders):
            break
        for name, run in contenders.items():
            samples[name].append(run())
            spent += samples[name][-1].seconds
    return samples


def middle(samples: Sequence[Sample]) -> float:
    """Median time in seconds."""
    return median(sample.seconds for sample in samples)


def make_record(
    case: str, data: str, samples: Samples, pairs: Iterable[tuple[str, str]], **facts: Any
) -> Record:
    """What the results keep of one measurement.

    Args:
      case: what was measured.
      data: on which data set.
      samples: of each contender.
      pairs: (a, b) for which the ratio time of a / time of b is kept, where both were measured.
      **facts: anything else worth keeping: sizes, settings, values.
    """
    return {
        "case": case,
        "data": data,
        **facts,
        "ratios": {
            f"{a} / {b}": middle(samples[a]) / middle(samples[b])
            for a, b in pairs
            if a in samples and b in samples
        },
        "contenders": {name: _summary(taken) for name, taken in samples.items()},
    }


def _summary(samples: Sequence[Sample]) -> Record:
    last = samples[-1]
    summary: Record = {"median": middle(samples), "seconds": [sample.seconds for sample in samples]}
    if isinstance(last.value, float):
        summary["value"] = last.value if math.isfinite(last.value) else None
    if last.peak_bytes is not None:
        summary["peak_bytes"] = max(sample.peak_bytes or 0 for sample in samples)
        summary["processor_seconds"] = median(sample.processor_seconds or 0.0 for sample in samples)
    return summary
