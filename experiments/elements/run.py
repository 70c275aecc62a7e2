"""Which descriptor for which data of several elements: see README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase import Atoms
from ase.build import bulk

import quests_jax as qj
from quests_jax.base.jax_versions import versions
from quests_jax.base.json_values import plain
from quests_jax.studies.bandwidths import recommended_bandwidth

sys.path.insert(0, str(Path(__file__).parent))
from swaps import Describe, found, plant, sample

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PAIRS = ("MoTa", "MoW", "NbMo", "NbTa", "NbW", "TaW")
INP = ("EOS", "Strain", "iIn", "iP", "s_iIn", "s_iP", "s_vIn", "s_vP", "s_vv", "vP", "vv")
ELEMENTAL = [f"MoNbTaW_SNAP/{Z}_{kind}" for Z in ("Mo", "Nb", "Ta", "W") for kind in ("AIMD", "Surface")]
SETS = {
    "MoNbTaW": [*ELEMENTAL, *(f"MoNbTaW_SNAP/{pair}_SS" for pair in PAIRS), "MoNbTaW_SNAP/Multinary_Test"],
    "InP": [f"FitSNAP_InP_JPCA2020/{name}" for name in INP],
    "Ga2O3": ["Ga2O3_NNP/test_strided"],
    "SrTiO3": ["SrTiO3_pypolymlp/train1"],
    "SiO": ["SiO_turq/train"],
    "LiPS": ["LiPS_autoplex/test_regularization"],
    "PbTe": ["PbTe_NEP/train"],
    "AgAu": ["AgAu_pypolymlp/train-disp1_noTestOverlap"],
    "water": ["water_deepmd/data_0"],
    "3BPA": ["mol_3BPA/train_300K"],
}
ATOMS, SWAPS, SWAPPED, LOOKED_AT = 3000, 50, 1500, 1500  # of a sample; exchanges; their atoms; for h
SEED, SIZE = 0, 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing in results.json, save after each row, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--nequix", type=Path, help="a .nqx file, to describe with Nequix too")
    parser.add_argument("--only", nargs="*", help="names of sets")
    parser.add_argument("--descriptors", nargs="*", help="names of descriptors")
    parser.add_argument("--smoke", action="store_true", help="a simulated salt")
    options = parser.parse_args(arguments)
    output = Path(__file__).parent / ("smoke" if options.smoke else "") / "results.json"
    output.parent.mkdir(exist_ok=True)
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"] if output.exists() else []
    descriptors = _descriptors(options.nequix)
    for name, files in ({"salt": []} if options.smoke else SETS).items():
        done = [row["descriptor"] for row in rows if row["set"] == name]
        missing = [each for each in options.descriptors or descriptors if each not in done]
        if not missing or (options.only and name not in options.only):
            continue
        paths = [options.data / f"{file}.xyz.gz" for file in files]
        structures = _salt() if options.smoke else sample(paths, ATOMS, SEED)
        usual = _chosen(qj.environments(structures), qj.DEFAULT_BANDWIDTH)
        for each in missing:
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
    """Numbers of one descriptor on one set, at the bandwidth that fits it; seconds of all processors."""
    started = time.process_time()
    envs = describe(structures)
    seconds = {"descriptors": time.process_time() - started}
    h = recommended_bandwidth(envs, sample=LOOKED_AT, seed=SEED).value
    qj.entropy(envs, bandwidth=h)  # compiles
    started = time.process_time()
    H = float(qj.entropy(envs, bandwidth=h))
    seconds["entropy"] = time.process_time() - started
    D = float(qj.diversity(envs, bandwidth=h))
    row = {"structures": len(structures), "environments": len(envs), "width": np.shape(envs.x)[1]}
    row |= {"bandwidth": h, "entropy": H, "diversity": D, "redundancy": 1 - np.exp(D) / len(envs)}
    row |= {"agreement": float(np.mean(np.isin(_chosen(envs, h), usual))), "seconds": seconds}
    row |= {"confused": _confused(envs, structures, h)}
    planted = plant(structures, SWAPS, SEED, atoms=SWAPPED)
    return row | found(envs, planted, describe, h)


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
    names = ("redundancy", "confused", "agreement", "swaps_alone", "swaps_together", "swaps_against_clean")
    lines = [
        "| set | descriptor | h | redundant | confused | same picks | swaps | each alone | together "
        "| against clean | descriptors, s | entropy, s |"
    ]
    lines += ["|" + "---|" * 12]
    for row in rows:
        shares = [f"{100 * row[name]:.0f} %" if name in row else "none" for name in names]
        cells = [row["set"], row["descriptor"], f"{row['bandwidth']:.3g}", *shares[:3]]
        cells += [str(row.get("swaps", 0)), *shares[3:]]
        cells += [f"{row['seconds'][name]:.2f}" for name in ("descriptors", "entropy")]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _salt() -> list[Atoms]:
    structures = [bulk("NaCl", "rocksalt", a=5.6, cubic=True).repeat((2, 1, 1)) for _ in range(12)]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.05, seed=seed)
    return structures


if __name__ == "__main__":
    sys.exit(main())
