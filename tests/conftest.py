"""Strict JAX for every test, and where to find data that a clone may not have."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jax
import pytest

import quests_jax  # noqa: F401  (turns on float64)

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# The first example of a property compiles a program, which takes as long as it takes; and a test that
# fails must fail again.
hypothesis.settings.register_profile("jax", deadline=None, derandomize=True)
hypothesis.settings.load_profile("jax")

MOST_MAPS = 20_000
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


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of compiled programs that processes started by tests may share."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(autouse=True, scope="module")
def _room_for_programs() -> Iterator[None]:
    """Drop compiled programs before they are too many.

    Each takes a few of the 65,530 pieces of memory that Linux maps for a process; the next one after that is
    a segmentation fault in the compiler.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MOST_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(autouse=True)
def _no_compilation_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither read nor fill the user's cache of compiled programs."""
    monkeypatch.setenv("QUESTS_JAX_CACHE", "")
