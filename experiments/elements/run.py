"""Which descriptor for which data of several elements: see README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase import Atoms
from ase.build import bulk

import quests_jax as qj
from quests_jax.base.plain import plain
from quests_jax.base.versions import versions
from quests_jax.studies.bandwidths import recommended_bandwidth

sys.path.insert(0, str(Path(__file__).parent))
from swaps import TOP, found, plant, sample

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PAIRS = ("MoTa", "MoW", "NbMo", "NbTa", "NbW", "TaW")
SETS = {
    "MoNbTaW": [*(f"MoNbTaW_SNAP/{pair}_SS" for pair in PAIRS), "MoNbTaW_SNAP/Multinary_Test"],
    "InP": [f"FitSNAP_InP_JPCA2020/{name}" for name in ("EOS", "Strain", "aIn", "aP", "iIn", "iP", "s_aa")],
    "Ga2O3": ["Ga2O3_NNP/test_strided"],
    "SrTiO3": ["SrTiO3_pypolymlp/train1"],
    "SiO": ["SiO_turq/train"],
    "LiPS": ["LiPS_autoplex/test_regularization"],
    "PbTe": ["PbTe_NEP/train"],
    "AgAu": ["AgAu_pypolymlp/train-disp1_noTestOverlap"],
    "water": ["water_deepmd/data_0"],
    "3BPA": ["mol_3BPA/train_300K"],
}
LARGE = ("MoNbTaW", "InP", "Ga2O3")  # 50 swaps in a sample in which they are less than 1 % of the atoms
ATOMS = {True: 20_000, False: 4000}  # of a sample, large or not
SEED, SIZE, SWAPS = 0, 0.1, 50
Describe = Callable[[Sequence[Atoms]], qj.Environments]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing in results.json, save after each row, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--nequix", type=Path, help="a .nqx file, to describe with Nequix too")
    parser.add_argument("--only", nargs="*", help="names of sets")
    parser.add_argument("--smoke", action="store_true", help="a simulated salt")
    options = parser.parse_args(arguments)
    output = Path(__file__).parent / ("smoke" if options.smoke else "") / "results.json"
    output.parent.mkdir(exist_ok=True)
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"] if output.exists() else []
    descriptors = _descriptors(options.nequix)
    for name, files in ({"salt": []} if options.smoke else SETS).items():
        if options.only and name not in options.only:
            continue
        done = [row["descriptor"] for row in rows if row["set"] == name]
        missing = [each for each in descriptors if each not in done]
        paths = [options.data / f"{file}.xyz.gz" for file in files]
        structures = _salt() if options.smoke else sample(paths, ATOMS[name in LARGE], SEED)
        usual = None
        for each in missing:
            usual = _chosen(qj.environments(structures), qj.DEFAULT_BANDWIDTH) if usual is None else usual
            rows.append({"set": name, "descriptor": each} | _study(structures, descriptors[each], usual))
            results = {"smoke": options.smoke, "seed": SEED, "size": SIZE, "dtype": "float64"}
            results |= {"parameters": {"k": 32, "cutoff": 5.0, "bandwidth": "auto, novelty rule"}}
            results |= {"versions": versions(), "device": str(jax.devices()[0]), "rows": plain(rows)}
            output.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n".join(table(rows)))
    return 0


def _descriptors(nequix: Path | None) -> dict[str, Describe]:
    told: dict[str, Describe] = {
        mode: lambda structures, mode=mode: qj.environments(structures, elements=mode)
        for mode in ("ignore", "center", "neighbors")
    }
    if nequix is not None:
        from quests_jax.atoms.learned import find_descriptor

        learned = find_descriptor(f"nequix:{nequix}")
        told["nequix"] = lambda structures: qj.environments(structures, descriptor=learned)
    return told


def _study(structures: Sequence[Atoms], describe: Describe, usual: np.ndarray) -> dict[str, Any]:
    """Numbers of one descriptor on one set, at the bandwidth that fits it."""
    started = time.perf_counter()
    envs = describe(structures)
    seconds = {"descriptors": time.perf_counter() - started}
    h = recommended_bandwidth(envs).value
    started = time.perf_counter()
    H, D = float(qj.entropy(envs, bandwidth=h)), float(qj.diversity(envs, bandwidth=h))
    seconds["entropy_and_diversity"] = time.perf_counter() - started
    changed, swapped = plant(structures, min(SWAPS, int(TOP * len(envs) / 3) + 1), SEED)
    row = {"structures": len(structures), "environments": len(envs), "width": np.shape(envs.x)[1]}
    row |= {"bandwidth": h, "entropy": H, "diversity": D, "redundancy": 1 - np.exp(D) / len(envs)}
    row |= {"agreement": float(np.mean(np.isin(_chosen(envs, h), usual))), "seconds": seconds}
    row |= {"confused": _confused(envs, structures, h), "swaps": len(swapped)}
    return row | found(describe(changed), envs, swapped, h)


def _chosen(envs: qj.Environments, h: float) -> np.ndarray:
    """Structures that a greedy cover of a tenth takes."""
    return qj.greedy_cover(qj.cover_problem(envs, bandwidth=h), size=SIZE).selected


def _confused(envs: qj.Environments, structures: Sequence[Atoms], h: float) -> float:
    """Share of the environments that atoms of other elements alone would cover; it should be 0."""
    Z = np.concatenate([atoms.numbers for atoms in structures])
    covered = [
        float(qj.overlap(envs.take(Z == each), envs.take(Z != each), bandwidth=h)) * np.mean(Z == each)
        for each in np.unique(Z)
        if np.any(Z != each)
    ]
    return float(np.sum(covered))


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of the table of the README."""
    lines = [
        "| set | descriptor | h | redundant | confused | swaps, clean | swaps, others | same picks | s |"
    ]
    lines += ["|" + "---|" * 9]
    for row in rows:
        shares = (row[name] for name in ("redundancy", "confused", "swaps_against_clean"))
        cells = [
            row["set"],
            row["descriptor"],
            f"{row['bandwidth']:.3g}",
            *(f"{100 * v:.0f} %" for v in shares),
        ]
        cells += [f"{100 * row[name]:.0f} %" for name in ("swaps_against_others", "agreement")]
        lines.append("| " + " | ".join([*cells, f"{sum(row['seconds'].values()):.1f}"]) + " |")
    return lines


def _salt() -> list[Atoms]:
    structures = [bulk("NaCl", "rocksalt", a=5.6, cubic=True).repeat((2, 1, 1)) for _ in range(12)]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.05, seed=seed)
    return structures


if __name__ == "__main__":
    sys.exit(main())
