"""Whether distances alone can tell an exchange of In and P: every atom of a sample counted, see README.md.

With `center` an exchange changes labels and no descriptor: an atom of In that becomes one of P keeps its
distances. It is found if no atom of P of another structure is near, nearer than atoms of the data are to each
other. So every atom is asked under the label of the other element, which is every exchange that there can be.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

import quests_jax as qj
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.studies.bandwidths import bandwidths_by_element

sys.path.insert(0, str(Path(__file__).parent))
from exchanges import ATOMS, LARGE
from run import DATA, LOOKED_AT, SEED, SETS
from swaps import TOP, sample

CRYSTALS = "InP, crystals"  # cells of zinc blende, compressed and strained
LOOKED_INTO = {
    CRYSTALS: SETS["InP"][:2],
    **{name: LARGE[name] for name in ("InP", "InP, defects", "Ga2O3")},
}
BLOCK = 512  # rows at a time
SAME = 1e-6  # Å⁻¹: distances of descriptors below it are the rounding of files
GRID = np.geomspace(0.0005, 0.16, 11)  # Å⁻¹
DEFAULT = 0.015


def study(envs: qj.Environments) -> dict[str, Any]:
    """Counts over all atoms as they are and under the label of the other element."""
    first, second = np.unique(np.asarray(envs.elements))
    labels = np.asarray(envs.elements)
    exchanged = np.where(labels == first, second, first)
    alike = dict.fromkeys((first, second), np.append(GRID, DEFAULT))
    as_they_are, other = (_against_others(envs, Z, alike) for Z in (labels, exchanged))
    found = _found(as_they_are["delta_entropy"], other["delta_entropy"])
    own = bandwidths_by_element(envs, sample=LOOKED_AT, seed=SEED)
    each = {Z: np.array([h]) for Z, h in own.items()}
    auto = [_against_others(envs, Z, each)["delta_entropy"] for Z in (labels, exchanged)]
    in_h = other["distance"] / DEFAULT
    return {
        "atoms": len(envs),
        "same_as_other_element_in_own_structure": int((other["own"] < SAME).sum()),
        "distance_in_own_structure_in_bandwidths": {
            f"{q:g}": float(np.quantile(other["own"] / DEFAULT, q)) for q in (0.5, 0.9, 0.99)
        },
        "same_as_other_element_elsewhere": int((other["distance"] < SAME).sum()),
        "within_a_bandwidth_elsewhere": int((in_h < 1).sum()),
        "distance_in_bandwidths": {f"{q:g}": float(np.quantile(in_h, q)) for q in (0.5, 0.9, 0.99)},
        "found": dict(zip([f"{h:.2g}" for h in alike[first]], found, strict=True)),
        "bandwidths_auto": {int(Z): h for Z, h in own.items()},
        "found_auto": _found(*auto)[0],
    }


def _found(usual: np.ndarray, asked: np.ndarray) -> list[float]:
    """Share of atoms asked [H, n] above what 99 % of the environments have among themselves, by bandwidth."""
    level = np.maximum(np.quantile(usual, 1 - TOP, axis=1), overlap_tolerance(usual.dtype))
    return (asked > level[:, None]).mean(axis=1).tolist()


def _against_others(
    envs: qj.Environments, labels: np.ndarray, bandwidths: dict[int, np.ndarray]
) -> dict[str, np.ndarray]:
    """Each row under a label against the rows of that element.

    Returns the distance to the nearest of another structure, that to the nearest of its own structure, each
    [n] in Å⁻¹, and δH against all other structures at each bandwidth of that element, [H, n].
    """
    x, Z, number = np.asarray(envs.x), np.asarray(envs.elements), np.asarray(envs.structure_id)
    distance, own = np.full(len(x), np.inf), np.full(len(x), np.inf)
    dH = np.full((len(bandwidths[int(Z[0])]), len(x)), np.inf)
    for element in np.unique(Z):
        known, of = x[element == Z], number[element == Z]
        asked = np.flatnonzero(labels == element)
        for i in np.array_split(asked, 1 + len(asked) // BLOCK):
            squared = ((x[i] ** 2).sum(axis=1)[:, None] + (known**2).sum(axis=1)) - 2 * x[i] @ known.T
            same = number[i][:, None] == of
            own[i] = _exact(x[i], known, np.where(same, squared, np.inf))
            elsewhere = np.where(same, np.inf, np.maximum(squared, 0))
            distance[i] = _exact(x[i], known, elsewhere)
            for place, h in enumerate(bandwidths[int(element)]):
                dH[place, i] = -logsumexp(-elsewhere / (2 * h**2), axis=1)
    return {"distance": distance, "own": own, "delta_entropy": dH}


def _exact(rows: np.ndarray, known: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """Distance to the nearest by products, computed again by differences; infinite where there is none."""
    nearest = squared.argmin(axis=1)
    exact = np.linalg.norm(rows - known[nearest], axis=1)
    return np.where(np.isfinite(squared.min(axis=1)), exact, np.inf)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, write congruent_sites.json, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    options = parser.parse_args(arguments)
    output = Path(__file__).parent / "congruent_sites.json"
    rows = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    for name, files in LOOKED_INTO.items():
        if name not in rows:
            structures = sample([options.data / f"{file}.xyz.gz" for file in files], ATOMS, SEED)
            rows[name] = study(qj.environments(structures, elements="center"))
            output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print(name, rows[name], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
