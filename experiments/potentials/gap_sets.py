"""Data sets of the study with Gaussian approximation potentials.

Those of the protocol of the linear model had a part in the design of `balanced`, the others had none.
"""

from __future__ import annotations

from data import DataSet
from protocol import FULL

FE, INP, CSI, AGAU = "FitSNAP_Fe_Linear_NPJ2021", "FitSNAP_InP_JPCA2020", "Si_CSI_PBE", "AgAu_pypolymlp"

DESIGN = {data.name for data in FULL.data_sets}


def _files(folder: str, *names: str) -> str:
    return "+".join(f"{folder}/{name}" for name in names)


CRYSTALS = ("0.01A-1p", "0.05A-2p", "0.1A-3p", "0.2A-5p")
LIQUIDS = ("10000bar", "1bar", "neg10000bar")

GAP_SETS = (
    DataSet("Ge", (32,), 5.0, "mlearn/Ge_train", "mlearn/Ge_test"),
    DataSet("Li", (3,), 5.1, "mlearn/Li_train", "mlearn/Li_test"),
    DataSet("Ni", (28,), 4.8, "DNP23_saidi/Ni_iter3_Ni"),
    DataSet("methane QM22", (1, 6), 4.0, "mol_QM22/Methane"),
    DataSet("SiO", (8, 14), 5.0, "SiO_turq/train", "SiO_turq/test"),
    DataSet(
        "ethanol and methanol",
        (1, 6, 8),
        4.0,
        "mol_ethanol_methanol/train_eth_meth",
        "mol_ethanol_methanol/test_eth_meth",
        most=150,
    ),
    DataSet(
        "Fe",
        (26,),
        4.7,
        _files(
            FE,
            "BCC-HCP-transition",
            "CCMC-bcc-hcp-elastic_Jun2020",
            "EOS_001_Jun2020",
            "EOS_100",
            "MD-bcc_Te300K",
            "liquid_mag_old",
            "point_def",
        ),
        outside=(f"{FE}/liquid_nonmag",),
        most_tested=30,
    ),
    DataSet(
        "Si crystal and liquid",
        (14,),
        5.0,
        _files(
            CSI,
            *(f"iteration-1_crystal_{kind}" for kind in CRYSTALS),
            *(f"iteration-1_liquid_1700K-{kind}" for kind in LIQUIDS),
        ),
        outside=(f"{CSI}/iteration-5_liquid_1700K-1bar",),
        most=150,
        most_tested=30,
    ),
    DataSet(
        "Ag and Au",
        (47, 79),
        5.0,
        _files(AGAU, "train-standard-Ag1", "train-standard-Au1"),
        outside=(f"{AGAU}/test-disp1",),
        most=200,
        most_tested=40,
    ),
    DataSet(
        "InP",
        (15, 49),
        5.0,
        _files(INP, "Bulk", "EOS", "Strain", "aIn", "aP", "aa", "iIn", "iP"),
        outside=(f"{INP}/vP", f"{INP}/vv"),
        most=200,
        most_tested=30,
    ),
    DataSet(
        "LiPS",
        (3, 15, 16),
        4.5,
        "LiPS_autoplex/test_regularization",
        without=("round_5_li7p3s11",),
        most=200,
        most_tested=30,
    ),
    DataSet("Si", (14,), 5.0, "mlearn/Si_train", "mlearn/Si_test"),
    DataSet("Mo without surfaces", (42,), 4.8, "mlearn/Mo_train", "mlearn/Mo_test", without=("Surface",)),
    DataSet("fullerenes", (6,), 3.7, "carbon_GAP20/Fullerenes", outside=("carbon_GAP20/Nanotubes",)),
)
