"""Fifty exchanges in large samples, by kind of structure, and channels compared: see README.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import quests_jax as qj
from quests_jax.atoms import describe, element_channels
from quests_jax.studies.bandwidths import recommended_bandwidth

sys.path.insert(0, str(Path(__file__).parent))
from run import DATA, LOOKED_AT, PAIRS, SEED, SETS, SWAPS
from swaps import Describe, by_kind, found, plant, sample

ATOMS, FIXED = 16_400, (0.015, 0.03)  # of a sample; bandwidths in Å⁻¹ beside that of the rule
LARGE = {
    "Ga2O3": SETS["Ga2O3"],
    "InP": SETS["InP"],
    "InP, defects": SETS["InP"][2:],
    "InP, antisites": [
        *SETS["InP"][2:],
        *(f"FitSNAP_InP_JPCA2020/{name}" for name in ("aIn", "aP", "aa", "s_aIn", "s_aP", "s_aa")),
    ],
    "MoNbTaW": [*(f"MoNbTaW_SNAP/{pair}_SS" for pair in PAIRS), "MoNbTaW_SNAP/Multinary_Test"],
}
COMPARED = ("PbTe", "SrTiO3", "InP", "Ga2O3", "LiPS", "AgAu")
FEW, SMALL = 15, 4500  # exchanges and atoms where channels are compared


def tables() -> dict[str, np.ndarray]:
    """Weights of neighbors by atomic number that are compared, each [119, c]."""
    squared = element_channels.channel_weights(np.arange(1, 119)) / element_channels.STRENGTH
    t = np.sqrt(np.concatenate([np.zeros((1, element_channels.N_CHANNELS)), squared]))
    return {
        "t": t,
        "2 t": 2 * t,
        "t squared": t**2,
        "2 t squared": 2 * t**2,
        "random": np.random.default_rng(SEED).random((119, 4)),
    }


def with_weights(weights: np.ndarray) -> Describe:
    """Environments by these weights of neighbors."""

    def of(structures: Sequence[Atoms]) -> qj.Environments:
        before = describe.channel_weights
        describe.channel_weights = lambda numbers: weights[np.asarray(numbers)]
        try:
            return qj.environments(structures, elements="neighbors")
        finally:
            describe.channel_weights = before

    return of


def modes() -> dict[str, Describe]:
    """Elements told apart by the center, or by the neighbors too."""
    return {
        mode: lambda structures, mode=mode: qj.environments(structures, elements=mode)
        for mode in ("center", "neighbors")
    }


def row(structures: Sequence[Atoms], way: Describe, most: int) -> dict[str, Any]:
    """Exchanges that are found at the bandwidth of the novelty rule, and at others."""
    envs = way(structures)
    auto = recommended_bandwidth(envs, sample=LOOKED_AT, seed=SEED).value
    planted = plant(structures, most, SEED)
    kinds = [str(atoms.info.get("config_type")) for atoms in structures]
    measured: dict[str, Any] = {"environments": len(envs), "bandwidth_auto": auto}
    for name, h in {"auto": auto, **{f"{fixed:g}": fixed for fixed in FIXED}}.items():
        measured[name] = found(envs, planted, way, h, together=False)
        measured[name] |= {"by_kind": by_kind(envs, planted, way, kinds, h)}
    return measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing in exchanges.json, save after each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    options = parser.parse_args(arguments)
    output = Path(__file__).parent / "exchanges.json"
    rows = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    wanted = [(name, files, ATOMS, SWAPS, modes()) for name, files in LARGE.items()]
    channels = {f"weights {key}": with_weights(table) for key, table in tables().items()}
    wanted += [(f"{name}, channels", SETS[name], SMALL, FEW, channels) for name in COMPARED]
    for name, files, atoms, most, ways in wanted:
        structures = sample([options.data / f"{file}.xyz.gz" for file in files], atoms, SEED)
        for key, way in ways.items():
            if (label := f"{name}: {key}") not in rows:
                rows[label] = row(structures, way, most)
                output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
                print(label, rows[label], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
