"""How a run ends when somebody asks it to: Ctrl-C (130), or SIGTERM (143) as from a batch system.

A signal sets a flag and raises at once. Where an exception raised by a signal is lost, as inside callbacks of
compiled programs, the flag is seen at the next step (`check`). Where no Python code runs, as during a long
compilation, a thread removes unfinished files and ends the process after `GRACE` seconds.
"""

from __future__ import annotations

# Nothing that takes long: until these are imported, an interrupt ends in a traceback.
import os
import signal
import sys
import threading
import time

TYPE_CHECKING = False  # as in `typing`, which takes long
if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

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
    first_import: float | None = None  # of a command, by `time.perf_counter`
    ended = threading.Event()


def check() -> None:
    """Raise `Ended` if a signal has arrived that nothing has answered yet."""
    if _State.running and _State.received is not None:
        raise Ended(_State.received)


def watch_if_command() -> None:
    """Answer signals in one line from the first import on, if this process is the command."""
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    starts_module = name == "-m" and "quests_jax" in sys.orig_argv
    if threading.current_thread() is threading.main_thread() and (name == COMMAND or starts_module):
        _State.first_import = time.perf_counter()
        _install()


def beginning() -> float:
    """When this process began to import the package, by `time.perf_counter`; now, if it is no new command."""
    begun, _State.first_import = _State.first_import, None
    return time.perf_counter() if begun is None else begun


class answered:  # noqa: N801  (used as a function is)
    """Signals raise `Ended` inside the block, which ends in time in any case."""

    def __enter__(self) -> None:
        self.writing: int | None = None
        self.before = {}
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.getsignal(number) for number in CODES}
            self.wakeup, self.writing = _install()
            _State.received, _State.running = None, True
            _State.ended.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.before:
            return
        _State.running = False
        _State.ended.set()
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if self.writing is not None:
            signal.set_wakeup_fd(self.wakeup)
            os.close(self.writing)


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


def _answer(number: int, _: object) -> None:
    if not _State.running:
        leave(number)
    _State.received = number
    raise Ended(number)


def _wait(reading: int) -> None:
    """End the process `GRACE` seconds after a signal, or at the next one, if it has not ended by then."""
    waiting = False
    while arrived := os.read(reading, 1):
        if arrived[0] not in CODES:
            continue
        if waiting:
            leave(arrived[0])
        waiting = True
        threading.Thread(target=_leave_later, args=(arrived[0],), daemon=True).start()
    os.close(reading)


def _leave_later(number: int) -> None:
    if not _State.ended.wait(GRACE):
        leave(number)


def leave(number: int) -> None:
    """End the process now; nothing unfinished stays.

    The interpreter is not taken down: threads of compiled programs may still run, and crash where it goes.
    """
    for path in list(unfinished):
        _remove(str(path))
    try:
        os.write(2, f"error: {WORDS[signal.Signals(number)]}\n".encode())
    except OSError:
        pass
    os._exit(CODES[signal.Signals(number)])


def _remove(path: str) -> None:
    """Remove a file, or a folder with the files in it; what cannot be removed stays."""
    try:
        if os.path.isdir(path):
            for name in os.listdir(path):
                _remove(os.path.join(path, name))
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError:
        pass
