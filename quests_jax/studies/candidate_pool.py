"""What is left of a data set once structures are dropped, and which of it is open to choice."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quests_jax.base.environments import Environments
from quests_jax.studies.choice_within_limits import Amount, Data


class Pool(NamedTuple):
    """A data set without what is dropped."""

    envs: Environments  # of S structures
    kept: np.ndarray  # int, those of the S that stay in any case
    numbers: np.ndarray  # [S] int, number of each in the whole data set

    @property
    def open(self) -> np.ndarray:
        """Those of the S that are open to choice."""
        return np.setdiff1d(np.arange(self.envs.n_structures), self.kept)

    def open_to_choice(self, amount: Amount, reference: Environments | None) -> Data:
        """What may be chosen from; what stays in any case is known to it, like the reference."""
        costs = amount.costs(self.envs, self.numbers)
        data = Data(self.envs, reference, costs)
        return data.without(self.kept)[0] if len(self.kept) else data

    def coverage_of(self, data: Data, of_all: float) -> float:
        """Coverage of what is open to choice, from that of all."""
        return coverage_of_open(of_all, len(self.envs), len(self.envs) - len(data.envs))


def coverage_of_open(of_all: float, n: int, staying: int) -> float:
    """Coverage of what is open to choice, from that of all n; what stays covers itself."""
    return (of_all * n - staying) / (n - staying) if staying else of_all
