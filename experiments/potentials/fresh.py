"""Rules on data sets that had no part in choosing any of them, by the linear model; see RULES.md.

    python experiments/potentials/fresh.py --data FOLDER    # goes on where it was stopped
    python experiments/potentials/fresh.py --summary        # the tables, from the stored errors

They are in neither `protocol` nor `gap_sets`, and were written down before any of them was measured. Titanium
is left out, whose few structures of 280 eV/Å are all that its errors would say.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from data import DataSet
from ratio_tables import tables_of_sizes
from screen import add_options, measured_rows, rows_of_rules

SEEDS = 3  # pools of each data set
HEA, DNP, QM22, SNAP = "MoNbTaW_SNAP", "DNP23_saidi", "mol_QM22", "SNAP_NiMo_tensoralloy"


def _metal(name: str, number: int) -> DataSet:
    """Hot crystals, strained cells and, out of distribution, surfaces of an element of the alloy MoNbTaW."""
    train = "+".join(f"{HEA}/{name}_{kind}" for kind in ("AIMD", "Elastic", "Surface"))
    return DataSet(name, (number,), 5.0, train, f"{HEA}/{name}_Test", without=(f"{name}_Surface",))


FRESH_SETS = (
    DataSet("Cu", (29,), 4.8, f"{DNP}/Cu_iter3_Cu", without=("crowdion", "db110", "interTd")),
    DataSet("Pd", (46,), 4.8, f"{DNP}/Pd_iter2_Pd", without=("vacancies",)),
    DataSet("Fe displaced", (26,), 4.8, "Fe_spin_pypolymlp/train", "Fe_spin_pypolymlp/test"),
    DataSet(
        "Ni without surfaces",
        (28,),
        4.8,
        f"{SNAP}/Ni_dedup_minus_mlearnNiTest",
        "mlearn/Ni_test",
        without=("Surface", "Surface_test"),
        most=200,
    ),
    _metal("W", 74),
    _metal("Nb", 41),
    _metal("Ta", 73),
    DataSet("MoS2", (16, 42), 5.0, "MoS_NEP89_finetune/train"),
    DataSet("ZrO2", (8, 40), 4.5, "ZrO_Delar2_MLFF/train"),
    DataSet("ethanol QM22", (1, 6, 8), 4.0, f"{QM22}/Ethanol"),
    DataSet("tropolone", (1, 6, 8), 4.0, f"{QM22}/Tropolone", most=150),
    DataSet("aspirin", (1, 6, 8), 4.0, "mol_sgdml_AFF/aspirin_ccsd-train", most=150),
    DataSet(
        "solvents",
        (1, 6, 8),
        4.0,
        "mol_solvents_xtb/solvent_xtb_test",
        without=("Nmols4", "Nmols5", "Nmols6"),
        most=200,
    ),
    DataSet(
        "SrTiO3",
        (8, 22, 38),
        4.5,
        "SrTiO3_pypolymlp/train1",
        "SrTiO3_pypolymlp/test1",
        most=120,
        most_tested=30,
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what has no result yet, or say what the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser, "fresh_results.json")
    rows = measured_rows(parser.parse_args(arguments), partial(rows_of_rules, seeds=SEEDS), FRESH_SETS)
    print(tables_of_sizes(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
