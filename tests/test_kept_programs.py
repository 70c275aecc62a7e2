"""Programs that outlive the process: the same values, found again without being traced, never a wrong one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from quests_jax.base import compiled_programs
from quests_jax.base.compiled_programs import jit, kept_in, stable_name
from quests_jax.cover.objectives.mass_functions import LOG_MASS, SATURATED
from quests_jax.information.sums import kernel_sums


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for programs that are compiled here: what comes from the cache of JAX cannot be kept."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    with kept_in(tmp_path):
        yield tmp_path
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


def arguments(n: int = 40) -> tuple[Any, ...]:
    x = np.random.default_rng(0).normal(size=(128, 3))
    return np.int32(n), x, np.ones(128), np.float64(0.5)


def test_a_program_is_found_again_without_being_traced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.asarray(kernel_sums._self_sum(*arguments()))
    assert {path.suffix for path in folder.iterdir()} == {compiled_programs.SUFFIX, compiled_programs.NAME}
    compiled_programs._programs.clear()
    monkeypatch.setattr(compiled_programs, "_made", pytest.fail)
    np.testing.assert_array_equal(kernel_sums._self_sum(*arguments()), first)
    x = arguments()[1][:30]
    squares = ((x[:, None] - x[None]) ** 2).sum(axis=-1)
    expected = np.exp(-squares / (2 * 0.5**2)).sum(axis=1)
    np.testing.assert_allclose(kernel_sums._self_sum(*arguments(30))[:30], expected, rtol=1e-12)


def test_a_program_that_was_cut_is_compiled_anew(folder: Path) -> None:
    first = np.asarray(kernel_sums._self_sum(*arguments()))
    compiled_programs._programs.clear()
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-20])
    np.testing.assert_array_equal(kernel_sums._self_sum(*arguments()), first)


def test_what_computes_the_same_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel_sums._self_sum(*arguments())
    compiled_programs._programs.clear()
    monkeypatch.setattr(compiled_programs, "_sources", lambda: "other sources")
    kernel_sums._self_sum(*arguments())
    suffixes = [path.suffix for path in folder.iterdir()]
    assert (suffixes.count(compiled_programs.SUFFIX), suffixes.count(compiled_programs.NAME)) == (1, 2)


def test_programs_take_part_in_derivatives(folder: Path) -> None:
    count, x, w, h = arguments()
    value, slope = jax.value_and_grad(lambda x: kernel_sums._self_sum(count, x, w, h).sum())(jnp.asarray(x))
    assert np.isfinite(value)
    assert slope.shape == x.shape
    assert not any(folder.iterdir())


def test_functions_that_have_no_lasting_name_are_left_to_jax(folder: Path) -> None:
    double = jit(lambda x, times: times * x, static_argnames="times")
    assert float(double(1.5, 2)) == float(double(1.5, times=2)) == 3.0
    assert not any(folder.iterdir())


def test_names_tell_functions_and_values_apart() -> None:
    values = [SATURATED, LOG_MASS, SATURATED.value, LOG_MASS.value, 1, 1.0, True, None, "1", (1,), ("1",)]
    values += [
        kernel_sums._self_sum,
        kernel_sums._log_sum,
        partial(kernel_sums._product, 1),
        jax.grad(SATURATED.value),
    ]
    assert len({stable_name(value) for value in values}) == len(values)
    with pytest.raises(compiled_programs.Unnamed):
        stable_name(np.zeros(2))
