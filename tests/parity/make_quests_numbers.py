"""Write `quests_numbers.json` with the QUESTS package: run this file where `quests` is installed.

python tests/parity/make_quests_numbers.py
"""

from __future__ import annotations

import json
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from generated import BANDWIDTH, CUTOFF, K, generated_structures

ROWS = 2  # rows of each structure that are kept, the first ones
DIGITS = 12


def numbers() -> dict[str, Any]:
    describe = import_module("quests.descriptor").get_descriptors
    quests = import_module("quests.entropy")
    structures = generated_structures()
    x = {name: describe([atoms], k=K, cutoff=CUTOFF) for name, atoms in structures.items()}
    everything = np.concatenate(list(x.values()))
    return {
        "header": {
            "versions": {name: version(name) for name in ("quests", "numpy", "numba", "ase")},
            "parameters": {"k": K, "cutoff": CUTOFF, "bandwidth": BANDWIDTH},
        },
        "rows": {name: np.round(rows[:ROWS], DIGITS).tolist() for name, rows in x.items()},
        "entropy": float(quests.entropy(everything, h=BANDWIDTH)),
        "diversity": float(quests.diversity(everything, h=BANDWIDTH)),
        "delta_entropy": {
            name: quests.delta_entropy(x[name], x["cold fcc"], h=BANDWIDTH).round(DIGITS).tolist()
            for name in ("cold fcc", "warm fcc", "hot fcc")
        },
    }


if __name__ == "__main__":
    path = Path(__file__).with_name("quests_numbers.json")
    path.write_text(json.dumps(numbers(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
