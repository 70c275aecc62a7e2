"""The small version of an experiment: what the command of its README does, in the process of the tests."""

from __future__ import annotations

import json
import os
import runpy
import sys
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import jax
import pytest

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


class Smoke(NamedTuple):
    results: dict[str, Any]
    printed: str
    folder: Path


def run_smoke(name: str, folder: Path) -> Smoke:
    """Run an experiment into a folder; skip without experiments."""
    run, output = EXPERIMENTS / name / "run.py", folder / "results.json"
    if not EXPERIMENTS.exists():
        pytest.skip("no experiments beside these tests")
    known, printed = set(sys.modules), StringIO()
    sys.path.insert(0, str(run.parent))
    try:
        with (
            warnings.catch_warnings(action="default"),
            jax.numpy_rank_promotion("allow"),
            jax.numpy_dtype_promotion("standard"),
            redirect_stdout(printed),
        ):
            runpy.run_path(str(run))["main"](["--smoke", "--output", str(output)])
    finally:
        sys.path.remove(str(run.parent))
        for module in set(sys.modules) - known:  # another experiment has modules of the same names
            if str(getattr(sys.modules[module], "__file__", "")).startswith(str(EXPERIMENTS) + os.sep):
                del sys.modules[module]
    return Smoke(json.loads(output.read_text(encoding="utf-8")), printed.getvalue(), folder)
