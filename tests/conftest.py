"""Strict JAX for every test, and where to find data that a clone may not have."""

# ruff: noqa: E402  (jax reads its environment when it is imported)

from __future__ import annotations

import functools
import gc
import os
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

# All processes of a run, those that tests start and later runs share compiled programs.
PROGRAMS = Path(__file__).resolve().parents[1] / ".jax_cache"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(PROGRAMS))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA logs a false alarm for every program it loads
# Most programs of the tests run once, on little data: to compile them takes longer than to run them. These
# flags make it four times as fast; `XLA_FLAGS= make test` compiles like a user.
QUICK = {"xla_backend_optimization_level": 0, "xla_cpu_parallel_codegen_split_count": 1}
FULL = {"xla_backend_optimization_level": 3, "xla_cpu_parallel_codegen_split_count": 32}
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):  # later ones end the process at its name
    QUICK["xla_cpu_use_fusion_emitters"] = False
    FULL["xla_cpu_use_fusion_emitters"] = True
os.environ.setdefault(
    "XLA_FLAGS", " ".join(f"--{name}={str(value).lower()}" for name, value in QUICK.items())
)
os.environ["QUESTS_JAX_CACHE"] = ""  # the command line neither reads nor fills the user's cache

import hypothesis
import jax
import pytest
from jax._src import compiler
from jax._src.interpreters import mlir
from jax._src.lru_cache import LRUCache

jax.config.update("jax_enable_x64", True)  # test_precision.py has it off
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# The first example of a property compiles a program, which takes as long as it takes; and a test that
# fails must fail again.
hypothesis.settings.register_profile("jax", deadline=None, derandomize=True)
hypothesis.settings.load_profile("jax")

MOST_MAPS = 35_000
USUAL_OPTIONS = compiler.get_compile_options
fully = False  # whether the programs that this process keeps are compiled like those of a user
# Files that take longest with an empty cache, the longest first; all of their tests are `slow`.
LONGEST = (
    "test_potentials.py",
    "test_readme.py",
    "disk/test_large.py",
    "information/test_fused.py",
    "test_benchmarks.py",
    "test_style.py",
    "information/test_kernels.py",
    "disk/test_commands.py",
    "disk/test_interrupted.py",
    "test_precision.py",
    "information/test_many.py",
    "information/test_random_calls.py",
    "test_help.py",
    "information/test_derivatives.py",
    "test_experiments.py",
    "cover/test_soft.py",
    "test_augment.py",
    "information/test_extents.py",
    "test_quests_defects.py",
    "test_element_bandwidths.py",
    "information/test_sharding.py",
    "cover/test_sharded_masses.py",
    "test_recipes.py",
    "test_compress.py",
    "test_choices.py",
    "information/test_sums_of_elements.py",
    "test_bias.py",
    "information/test_entropy.py",
    "output/test_figures.py",
    "information/test_every_derivative.py",
    "test_augment_study.py",
    "test_analogues.py",
    "test_cover_study.py",
    "atoms/test_learned.py",
    "information/test_arguments.py",
    "test_certificates.py",
    "test_report.py",
    "test_outputs_page.py",
    "test_gap20.py",
    "output/test_notebook.py",
)
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets beside the repository; tests that need it are skipped in a clone without."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no data sets beside the repository")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Folder of reference numbers beside the repository; skips like `shared_data`."""
    if not (SHARED / "reference").is_dir():
        pytest.skip("no reference numbers beside the repository")
    return SHARED / "reference"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that compile fully, then the longest: no process is left with one at the end."""
    here = Path(__file__).parent
    place = {here / name: number for number, name in enumerate(LONGEST)}
    for item in items:
        if item.path in place:
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    full = {item.path for item in items if item.get_closest_marker("optimised")}
    last = len(place)
    items.sort(key=lambda item: (item.path not in full, place.get(item.path, last), item.path not in slow))


def pytest_collection_finish() -> None:
    """Search for garbage less often: a tenth of the time, as tracing makes many objects that stay.

    What was collected lives as long as the run, so no search looks at it again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Drop compiled programs that are a month old; programs of code that is gone are never asked for."""
    if not hasattr(session.config, "workerinput"):
        month_ago = time.time() - 30 * 24 * 3600
        for path in PROGRAMS.rglob("*"):
            if path.is_file() and path.stat().st_mtime < month_ago:
                path.unlink(missing_ok=True)


def _write_at_once(self: LRUCache, key: str, value: bytes) -> None:
    """Write a compiled program under another name first: no process reads the half of one."""
    path = self.path / f"{key}-cache"
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(value)
    unfinished.replace(path)


LRUCache.put = _write_at_once
# JAX makes a new context of its compiler for every program, which takes as long as half of a small program.
mlir.make_ir_context = functools.cache(mlir.make_ir_context)


@pytest.fixture(autouse=True, scope="module")
def _optimised(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compile the programs of modules with the mark `optimised` like those of a user."""
    global fully
    wanted = request.node.get_closest_marker("optimised") is not None
    if wanted != fully:  # JAX would take programs of the other kind for the same ones
        jax.clear_caches()
        fully = wanted
    with pytest.MonkeyPatch.context() as patch:
        if wanted:
            patch.setattr(compiler, "get_compile_options", _full_options)
        yield


def _full_options(*args: Any, **kwargs: Any) -> Any:
    found = USUAL_OPTIONS(*args, **kwargs)
    found.env_option_overrides = [*found.env_option_overrides, *FULL.items()]
    return found


@pytest.fixture(autouse=True, scope="module")
def _room_for_programs() -> Iterator[None]:
    """Drop compiled programs before they are too many.

    Each takes a few of the 65,530 pieces of memory that Linux maps for a process; the next one after that is
    a segmentation fault in the compiler.
    """
    yield
    mlir.make_ir_context.cache_clear()  # a context keeps every constant that it has seen
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MOST_MAPS:
        jax.clear_caches()
        gc.collect()
