"""Monte Carlo on positions as QUESTS does it: all atoms take a random step, and annealing decides.

Chains run side by side, so that their environments are described and compared in one call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import ase
import numpy as np

from quests_jax.atoms import get_descriptors
from quests_jax.atoms.neighbors import find_pairs
from quests_jax.base.progress import advance
from quests_jax.information import delta_entropy

MOVE = 0.02  # Å, standard deviation of the moves of QUESTS
CYCLES, COLDEST = 3, 1e-3  # of temperatures from 1 down, as in QUESTS
REFUSALS = 200  # proposals in a row that come too close, after which a chain waits for the next step


@dataclasses.dataclass
class Chain:
    """One chain: where it is, and the values of all that it looked at."""

    atoms: ase.Atoms
    score: Callable[[np.ndarray], float]  # δH of all atoms to what is to fall
    value: Callable[[np.ndarray], float]  # δH of all atoms to what is to reach the target
    closest: float | None  # Å; proposals with closer atoms are refused without being described
    rng: np.random.Generator
    move: float = MOVE
    current: float = np.inf
    history: list[float] = dataclasses.field(default_factory=list)
    shortest: float = np.inf  # Å, between atoms of the proposal looked at last

    def propose(self) -> ase.Atoms | None:
        """A structure nearby; None if all that were tried bring atoms too close."""
        for _ in range(REFUSALS):
            proposal = self.atoms.copy()
            proposal.positions += self.move * self.rng.normal(size=proposal.positions.shape)
            if self.closest is None or not len(find_pairs([proposal], cutoff=self.closest).distance):
                return proposal
        return None

    def judge(self, proposal: ase.Atoms, dH: np.ndarray, temperature: float) -> None:
        """Go there or stay, by the rule of Metropolis."""
        score = self.score(dH)
        self.history.append(self.value(dH))
        self.shortest = float(find_pairs([proposal], cutoff=3.0).distance.min(initial=3.0))
        if self.rng.random() < np.exp(min(0.0, (self.current - score) / temperature)):
            self.atoms, self.current = proposal, score


def run(chains: Sequence[Chain], x: np.ndarray, steps: int, target: float) -> None:
    """Run all chains for a number of evaluations each, or until their value reaches the target."""
    period = max(1, steps // CYCLES)
    for step in range(steps):
        waiting = [chain for chain in chains if max(chain.history, default=-np.inf) < target]
        proposals = [(chain, chain.propose()) for chain in waiting]
        proposals = [(chain, proposal) for chain, proposal in proposals if proposal is not None]
        if not proposals:
            return
        structures = [proposal for _, proposal in proposals]
        dH = np.asarray(delta_entropy(get_descriptors(structures), x))
        ends = np.cumsum([len(atoms) for atoms in structures])[:-1]
        temperature = max(1 - (step % period) / period, COLDEST)
        for (chain, proposal), own in zip(proposals, np.split(dH, ends), strict=True):
            chain.judge(proposal, own, temperature)
        advance("Monte Carlo", step + 1, steps)
