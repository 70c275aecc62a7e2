"""Where numbers come from: results of the experiments, and how a verdict is reached."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
CLOSE = 0.1  # nats, to which entropies read off a figure are known
VERDICTS = (  # by the share of the cases in which a comparison is right, at least
    (0.95, "reproduced"),
    (0.75, "mostly reproduced"),
    (0.5, "reproduced in part"),
    (0.0, "not reproduced"),
)

Values = dict[str, str]


@cache
def results(experiment: str) -> dict[str, Any]:
    """The results.json of one experiment."""
    return json.loads((EXPERIMENTS / experiment / "results.json").read_text(encoding="utf-8"))


@cache
def helper(experiment: str, name: str) -> SimpleNamespace:
    """What a module that lies beside the run.py of one experiment defines."""
    return SimpleNamespace(**runpy.run_path(str(EXPERIMENTS / experiment / f"{name}.py")))


def verdict(share: float) -> str:
    """How far a comparison holds that is right in this share of the cases."""
    return next(words for least, words in VERDICTS if share >= least)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table with a blank line on either side, as a marked block needs it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n\n"
