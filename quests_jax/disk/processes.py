"""Several processes that share a working folder: how they meet, and what happens when one is lost."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import jax
from jax.experimental import multihost_utils

from quests_jax.base.checks import InputError
from quests_jax.disk.work import Work

BEAT = 1.0  # s between two signs of life
LOST = 30.0  # s without a sign of life after which a process counts as lost
ENDED, FAILED = "ended", "failed"


def join(coordinator: str, processes: int | None, process: int | None) -> tuple[int, int]:
    """Connect to the other processes by `jax.distributed`; return the number of this one and the total.

    Args:
      coordinator: HOST:PORT of process 0, or "auto" under SLURM, Open MPI or Kubernetes.
      processes: how many there are; None with "auto".
      process: number of this one, from 0; None with "auto".

    Raises:
      InputError: arguments that do not fit, or the others cannot be reached.
    """
    if coordinator != "auto" and (processes is None or process is None or not 0 <= process < processes):
        raise InputError(
            f"with --coordinator {coordinator} give --num-processes and a --process-id below it."
        )
    address = None if coordinator == "auto" else coordinator
    try:
        jax.distributed.initialize(address, processes, process, shutdown_timeout_seconds=int(LOST))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"--coordinator {coordinator}: cannot meet the others ({error}).") from None
    return jax.process_index(), jax.process_count()


@contextmanager
def heartbeat(work: Work) -> Iterator[None]:
    """Send signs of life while the block runs, and exit if another process sends none for `LOST` seconds.

    The exit is immediate; results appear whole or not at all. Collective operations with a lost process fail
    at once with an error of the network; it is held back until it is known whether a process is lost.
    """
    if work.processes == 1:
        yield
        return
    signs = work.signs
    signs.mkdir(parents=True, exist_ok=True)
    for earlier in (signs / str(work.process), *signs.glob(f"{work.process}.*")):
        earlier.unlink(missing_ok=True)
    multihost_utils.sync_global_devices("quests_jax")  # no sign of an earlier run is left after this
    finished = threading.Event()
    thread = threading.Thread(target=_watch, args=(work, signs, finished), daemon=True)
    thread.start()
    last = FAILED
    try:
        yield
        last = ENDED
    except (InputError, OSError):
        raise
    except Exception:
        time.sleep(LOST + 2 * BEAT)
        raise
    finally:
        finished.set()
        thread.join()
        (signs / str(work.process)).write_text(last)


def _watch(work: Work, signs: Path, finished: threading.Event) -> None:
    others = [number for number in range(work.processes) if number != work.process]
    seen = {number: ("", time.monotonic()) for number in others}
    for beat in itertools.count():
        (signs / str(work.process)).write_text(str(beat))
        for number in others:
            sign = _sign(signs / str(number))
            text, since = seen[number]
            if sign == FAILED or (sign == text != ENDED and time.monotonic() - since > LOST):
                _leave(work, number, sign)
            if sign != text:
                seen[number] = (sign, time.monotonic())
        if finished.wait(BEAT):
            return


def _sign(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _leave(work: Work, number: int, sign: str) -> NoReturn:
    reason = "has failed" if sign == FAILED else f"has given no sign of life for {LOST:g} s"
    print(
        f"error: process {number} of {work.processes} {reason}, so this one stops; finished work is kept, "
        "run the same command on all processes to go on.",
        file=sys.stderr,
        flush=True,
    )
    if work.process == 0:  # jax.distributed ends the others without a word once its coordinator is gone
        time.sleep(5 * BEAT)
    os._exit(1)
