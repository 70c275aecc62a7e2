"""Linter, formatter and type checker find nothing, as part of the tests, so that both processes have work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("words", ["pyright", "ruff check .", "ruff format --check ."])
def test_nothing_is_found(words: str) -> None:
    program, *arguments = words.split()
    path = Path(sys.executable).parent / program
    if not path.exists():
        pytest.skip(f"{program} is not installed")
    # pyright's: it searches for garbage less often
    roomy = os.environ | {"NODE_OPTIONS": "--max-semi-space-size=256"}
    done = subprocess.run([path, *arguments], cwd=ROOT, env=roomy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
