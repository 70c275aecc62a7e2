"""A choice by Atom-HiFi within a budget of atoms, and its L and R for other choices.

It reads pool.xyz and ask.json, writes said.json, and runs where atom-hifi and fhi-decaf are installed.
Atom-HiFi groups environments at a bandwidth and covers the groups with few structures. What is taken is the
choice at the smallest bandwidth that keeps to the budget; bandwidths are in units of the median distance of
environments of an element.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import ase.io
import numpy as np
from atom_hifi.soap_ML.soap import generate_ED_SOAP  # pyright: ignore[reportMissingImports]
from atom_hifi.training.judge import Judge, fit_microstate_reference  # pyright: ignore[reportMissingImports]
from scipy.spatial.distance import pdist

RANGE, ROUNDS = (1e-2, 1.0), 6  # of the bandwidth, and of the search

ask = json.loads(Path("ask.json").read_text())
pool = ase.io.read("pool.xyz", ":")
numbers = np.concatenate([atoms.numbers for atoms in pool])
of = np.repeat(np.arange(len(pool)), [len(atoms) for atoms in pool])
species = sorted({symbol for atoms in pool for symbol in atoms.get_chemical_symbols()})
symbols = np.concatenate([atoms.get_chemical_symbols() for atoms in pool])
with contextlib.redirect_stdout(io.StringIO()):
    found = [
        generate_ED_SOAP(
            [atoms], species=np.unique(numbers), lengthscale=ask["bond"], periodic=bool(atoms.pbc.any())
        )
        for atoms in pool
    ]
rows = np.concatenate(found)
described = {element: rows[symbols == element] for element in species}
scale = {element: float(np.median(pdist(x[:: max(1, len(x) // 500)]))) for element, x in described.items()}

state = np.zeros(len(of), int)  # microstate of each environment, by the k-means of Atom-HiFi at its finest
for element in species:
    x = described[element]
    k = max(20, len(x) // 2)
    state[symbols == element] = fit_microstate_reference(x, 0.0, [k])[1] + (state.max() + 1)


def entropy(states: np.ndarray) -> float:
    """Of the populations of microstates, nats."""
    p = np.unique(states, return_counts=True)[1] / len(states)
    return float(-(p * np.log(p)).sum())


def scores(chosen: list[int]) -> dict[str, float]:
    """Likeness L and redundancy R of a choice."""
    own = state[np.isin(of, chosen)]
    crowd = len(own) / len(np.unique(own)), len(state) / len(np.unique(state))
    return {"likeness": entropy(own) / entropy(state), "redundancy": crowd[0] / crowd[1]}


def choice(bandwidth: float) -> list[int]:
    """What Atom-HiFi takes at a bandwidth."""
    judge = Judge(species, pool, None, descriptor="ED_SOAP")
    delta = {element: bandwidth * scale[element] for element in species}
    with contextlib.redirect_stdout(io.StringIO()):
        judge.fit_decaf(desc_array=described, delta=delta, save=False)
    return [int(i) for i in judge.sub_lib_idx]


low, high = np.log(RANGE)
best: list[int] = []
for _ in range(ROUNDS):
    middle = (low + high) / 2
    chosen = choice(float(np.exp(middle)))
    within = np.isin(of, chosen).sum() <= ask["atoms"]
    low, high = (low, middle) if within else (middle, high)
    best = chosen if within else best
    print(np.exp(middle), len(chosen), int(np.isin(of, chosen).sum()), flush=True)
said = {
    "selected": best,
    "scores": {name: scores(each) for name, each in (ask["choices"] | {"atom-hifi": best}).items()},
}
Path("said.json").write_text(json.dumps(said))
