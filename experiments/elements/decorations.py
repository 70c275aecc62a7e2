"""Whether an exchange in the solid solutions of MoNbTaW can be told from the data at all: see README.md.

Their cells are 2 × 2 × 2 of bcc, 16 sites with two elements: 2¹⁶ decorations. Those that are the same up
to the 768 operations of the cell (16 translations, 48 rotations and reflections) count as one. An exchange of
two nearest neighbors makes another decoration; where that one is in the data too, nothing tells the error.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import quests_jax as qj

sys.path.insert(0, str(Path(__file__).parent))
from run import DATA, PAIRS

HALVES = list(itertools.product((0, 1), repeat=3))
SITES = np.array([[2 * i + b, 2 * j + b, 2 * k + b] for (i, j, k) in HALVES for b in (0, 1)])  # cell / 4
N = len(SITES)


def site_numbers(points: np.ndarray) -> np.ndarray:
    """The number of the site at each point [..., 3], in quarters of the cell."""
    keys = (points % 4) @ [16, 4, 1]
    of_sites = (SITES % 4) @ [16, 4, 1]
    return np.argsort(of_sites)[np.searchsorted(np.sort(of_sites), keys)]


def operations() -> np.ndarray:
    """Permutations of the sites by the operations of the cell, shape [768, 16]."""
    found = set()
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            turned = SITES[:, axes] * np.array(signs)
            found |= {tuple(site_numbers(turned + shift).tolist()) for shift in SITES}
    return np.array(sorted(found))


def smallest_equivalents() -> np.ndarray:
    """For each of the 2¹⁶ decorations, as bits of an integer, the smallest that is the same."""
    bits = (np.arange(2**N)[:, None] >> np.arange(N)) & 1
    smallest = np.arange(2**N)
    for order in operations():
        smallest = np.minimum(smallest, bits[:, order] @ (1 << np.arange(N)))
    return smallest


def neighbors() -> list[tuple[int, int]]:
    """Pairs of sites that are nearest neighbors."""
    apart = (SITES[:, None] - SITES[None] + 2) % 4 - 2
    i, j = np.nonzero(np.triu((np.abs(apart) == 1).all(axis=2)))
    return list(zip(i.tolist(), j.tolist(), strict=True))


def study(path: Path, same: np.ndarray) -> dict[str, Any]:
    """How many decorations a file holds, and how many exchanges lead to one that it holds."""
    structures = qj.read(path)
    heavier = max(max(atoms.numbers) for atoms in structures)
    codes = []
    for atoms in structures:
        sites = site_numbers(np.round(4 * atoms.get_scaled_positions()).astype(int))
        codes.append(int(((atoms.numbers == heavier).astype(int) << sites).sum()))
    held, exchanges, known = set(same[codes].tolist()), 0, 0
    for code in codes:
        for i, j in neighbors():
            if (code >> i & 1) != (code >> j & 1):
                exchanges += 1
                known += int(same[code ^ (1 << i) ^ (1 << j)]) in held
    return {
        "structures": len(structures),
        "decorations": len(held),
        "exchanges": exchanges,
        "known": known,
        "possible": len(np.unique(same)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, write decorations.json, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    options = parser.parse_args(arguments)
    same = smallest_equivalents()
    rows = {pair: study(options.data / f"MoNbTaW_SNAP/{pair}_SS.xyz.gz", same) for pair in PAIRS}
    output = Path(__file__).parent / "decorations.json"
    output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for pair, row in rows.items():
        print(f"{pair}: {row}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
