"""What every case gets, the names of the contenders, and files through which processes share data."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from baselines import Roofline
from inputs import Inputs
from measuring import Contender, Sample
from peer import Peer, Settings

import quests_jax as qj

OURS = {"float64": "quests_jax float64", "float32": "quests_jax float32"}
BEST, DEFAULT, NUMPY = "quests best", "quests default", "numpy dense"
ROOFLINES = {dtype: f"dense roofline {dtype}" for dtype in OURS}


class Setting(NamedTuple):
    """One run of the benchmarks."""

    inputs: Inputs
    peer: Peer | None
    roofline: dict[str, Roofline]  # by dtype
    folder: Path  # temporary
    sizes: tuple[int, ...]
    growth: tuple[int, ...]  # environments of growing sets, none for those of the case
    rounds: int
    seed: int
    smoke: bool = False

    def save(self, name: str, x: np.ndarray) -> str:
        """Path of a .npy file with x; a name must stand for the same rows all along."""
        path = self._path(name, ".npy")
        np.save(path, x)
        return str(path)

    def save_structures(self, name: str, structures: list[Atoms]) -> str:
        """Path of a plain extended xyz file with the structures."""
        path = self._path(name, ".xyz")
        if not path.exists():
            qj.write(path, structures)
        return str(path)

    def rows(self, x: np.ndarray, n: int) -> np.ndarray:
        """The first n rows in a random order of x, the same order every time."""
        return x[np.random.default_rng(self.seed).permutation(len(x))[:n]]

    @property
    def programs(self) -> dict[str, str]:
        """Where processes keep compiled programs: in a folder of this run; with --smoke where all do."""
        return {} if self.smoke else {"QUESTS_JAX_CACHE": str(self.folder / "cache")}

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / (name.replace("/", "_").replace(" ", "_") + suffix)


class Quests(NamedTuple):
    """QUESTS as contenders of one case, none where it is not installed, and how its best was run."""

    contenders: dict[str, Contender]
    settings: Settings | None


def quests(
    setting: Setting,
    task: str,
    inputs: dict[str, Any],
    *,
    search: dict[str, Any] | None = None,
    default: bool = True,
    scale: float = 1.0,
) -> Quests:
    """QUESTS at its best settings, found on `search` or else on the inputs, and as it comes.

    Args:
      setting: of this run.
      task: name known to the worker.
      inputs: of the task; arrays and structures as paths.
      search: smaller inputs of the same kind.
      default: whether it is also run as it comes.
      scale: factor on its times, for inputs that stand for larger ones; its value is then left out.
    """
    peer = setting.peer
    if peer is None:
        return Quests({}, None)
    best = peer.best_settings(task, **(search or inputs))

    def run(settings: Settings) -> Sample:
        sample = peer.ask(task, settings, **inputs)
        return sample if scale == 1 else Sample(scale * sample.seconds)

    contenders: dict[str, Contender] = {BEST: partial(run, best)}
    return Quests(contenders | ({DEFAULT: partial(run, {})} if default else {}), best)


def against(*others: str) -> list[tuple[str, str]]:
    """Ratios of each of `others` to this library in either dtype."""
    return [(other, ours) for ours in OURS.values() for other in others]
