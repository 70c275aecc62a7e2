"""Who runs the tasks of a stage: threads of this process, or the workers of a Dask cluster.

A task makes one result and writes it; nothing else comes back from it. So it does not matter who runs it, how
often, or in which order, and what a lost worker has finished stays. Retries, lost workers, spilling and the
dashboard are Dask's: `pip install 'quests_jax[cluster]'`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from quests_jax.base.checks import InputError
from quests_jax.base.precision import double_precision
from quests_jax.base.progress import advance

Task = Callable[[int], None]  # of the number of its result
Runner = Callable[[str, Task, Sequence[int]], None]  # (name for progress, task, numbers)

LOCAL = "local:"  # a cluster of processes of this machine
CONNECTING = 30  # s until a scheduler has answered
AGAIN = "what is finished is kept, run the same command again to go on."


def in_threads(name: str, task: Task, numbers: Sequence[int]) -> None:
    """Run tasks in this process, one after the other on every device."""
    devices = jax.local_devices()
    done = []

    def share(first: int) -> None:
        with jax.default_device(devices[first]), double_precision():
            for number in numbers[first :: len(devices)]:
                task(number)
                done.append(number)
                advance(name, len(done), len(numbers))

    with ThreadPoolExecutor(len(devices)) as pool:
        others = [pool.submit(share, first) for first in range(1, len(devices))]
        share(0)
        for other in others:
            other.result()


@contextmanager
def on_cluster(scheduler: str) -> Iterator[Runner]:
    """Run tasks on the workers of a Dask cluster, which see the same folders under the same names.

    Args:
      scheduler: its address, the .json file that it wrote, or local:N for N processes of this machine.

    Raises:
      InputError: no package `distributed`, or no scheduler that answers.

    >>> with on_cluster("local:2") as run:  # doctest: +SKIP
    ...     shards = describe_files(Work(Path("work"), run), [Path("data.xyz")], k=32, cutoff=5.0)
    >>> with on_cluster("nowhere.json"):
    ...     pass
    Traceback (most recent call last):
    quests_jax.base.checks.InputError: --scheduler nowhere.json: no such file; start the scheduler first.
    """
    try:
        import distributed
    except ImportError:
        raise InputError("--scheduler needs Dask; run `pip install 'quests_jax[cluster]'`.") from None
    for name in logging.root.manager.loggerDict:
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is said in one line
    with _cluster(distributed, scheduler) as where:
        try:
            client = distributed.Client(timeout=CONNECTING, **where)
        except (OSError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"--scheduler {scheduler}: cannot be reached ({reason}).") from None
        try:
            yield lambda name, task, numbers: _submit(distributed, client, name, task, numbers)
        finally:
            client.close(timeout=1)


@contextmanager
def _cluster(distributed: Any, scheduler: str) -> Iterator[dict[str, Any]]:
    """What `Client` is told of a scheduler; processes of this machine live as long as the block."""
    if not scheduler.startswith(LOCAL):
        is_file = scheduler.endswith(".json")
        if is_file and not Path(scheduler).is_file():
            raise InputError(f"--scheduler {scheduler}: no such file; start the scheduler first.")
        yield {"scheduler_file": scheduler} if is_file else {"address": scheduler}
        return
    count = scheduler.removeprefix(LOCAL)
    if not count.isdigit() or not int(count):
        raise InputError(f"--scheduler {scheduler}: give a number of processes, as local:4.")
    programs = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    env = {"JAX_COMPILATION_CACHE_DIR": programs} if programs else {}
    env |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    env |= {"TF_CPP_MIN_LOG_LEVEL": "3"}  # XLA logs a false alarm for every program it loads
    with distributed.LocalCluster(
        n_workers=int(count),
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
        env=env,
    ) as cluster:
        yield {"address": cluster}


def _submit(distributed: Any, client: Any, name: str, task: Task, numbers: Sequence[int]) -> None:
    futures = client.map(_Run(task), numbers, key=f"{name}-{id(task)}", pure=False)
    try:
        for done, future in enumerate(distributed.as_completed(futures), start=1):
            if future.status != "finished":  # of others there is nothing to fetch
                future.result()
            advance(name, done, len(futures))
    except distributed.CancelledError:
        raise InputError(f"the scheduler of the cluster is gone; {AGAIN}") from None
    except distributed.KilledWorker:
        raise InputError(f"{name}: several workers died over one task, perhaps of memory; {AGAIN}") from None
    finally:
        if client.status == "running":
            client.cancel(futures)


class _Run:
    """A task as a worker runs it."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self, number: int) -> None:
        with double_precision():
            self.task(number)
