"""How a run ends when somebody asks it to: Ctrl-C (130), or SIGTERM (143) as from a batch system.

A signal sets a flag and raises at once. Where an exception raised by a signal is lost, as inside callbacks of
compiled programs, the flag is seen at the next step (`check`). Where no Python code runs, as during a long
compilation, a thread removes unfinished files and ends the process after `GRACE` seconds.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}  # 128 + the number of the signal
WORDS = {
    signal.SIGINT: "interrupted; no unfinished output is left.",
    signal.SIGTERM: "terminated; no unfinished output is left.",
}
GRACE = 3.0  # s that a run has to end by itself
COMMAND = "quests-jax"

unfinished: set[Path] = set()  # files and folders that nobody may find afterwards


class Ended(BaseException):
    """Somebody asked the run to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)


class _State:
    """What has arrived, and whether a command is running that can end by an exception."""

    received: int | None = None
    running = False
    ended = threading.Event()


def check() -> None:
    """Raise `Ended` if a signal has arrived that nothing has answered yet."""
    if _State.running and _State.received is not None:
        raise Ended(_State.received)


def watch_if_command() -> None:
    """From the first import on, answer signals in one line, if this process is the command."""
    name = Path(sys.argv[0]).name if sys.argv else ""
    starts_module = name == "-m" and "quests_jax" in getattr(sys, "orig_argv", [])
    if threading.current_thread() is threading.main_thread() and (name == COMMAND or starts_module):
        _install()


@contextmanager
def answered() -> Iterator[None]:
    """Signals raise `Ended` inside the block, which ends in time in any case."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in CODES}
    wakeup, writing = _install()
    _State.received, _State.running = None, True
    _State.ended.clear()
    try:
        yield
    finally:
        _State.running = False
        _State.ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        if writing is not None:
            signal.set_wakeup_fd(wakeup)
            os.close(writing)


def _install() -> tuple[int, int | None]:
    """Set handlers and start the thread that waits: the file it replaced, and the one that wakes it."""
    for number in CODES:
        signal.signal(number, _answer)
    if os.name != "posix":
        return -1, None
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=_wait, args=(reading,), daemon=True).start()
    return signal.set_wakeup_fd(writing, warn_on_full_buffer=False), writing


def _answer(number: int, _: Any) -> None:
    if not _State.running:
        _leave(number)
    _State.received = number
    raise Ended(number)


def _wait(reading: int) -> None:
    """End the process `GRACE` seconds after a signal, or at the next one, if it has not ended by then."""
    waiting = False
    while arrived := os.read(reading, 1):
        if arrived[0] not in CODES:
            continue
        if waiting:
            _leave(arrived[0])
        waiting = True
        threading.Thread(target=_leave_later, args=(arrived[0],), daemon=True).start()
    os.close(reading)


def _leave_later(number: int) -> None:
    if not _State.ended.wait(GRACE):
        _leave(number)


def _leave(number: int) -> None:
    """End the process now; nothing unfinished stays."""
    for path in list(unfinished):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    with suppress(OSError):
        os.write(2, f"error: {WORDS[signal.Signals(number)]}\n".encode())
    os._exit(CODES[signal.Signals(number)])
