"""The protocol: data sets, methods, sizes, seeds and models."""

from __future__ import annotations

import dataclasses
from typing import Any

from data import DataSet
from neural import Training

SI: dict[str, Any] = {
    "elements": (14,),
    "cutoff": 5.0,
    "train": "mlearn/Si_train",
    "inside": "mlearn/Si_test",
}
MO: dict[str, Any] = {
    "elements": (42,),
    "cutoff": 4.8,
    "train": "mlearn/Mo_train",
    "inside": "mlearn/Mo_test",
}
C: dict[str, Any] = {"elements": (6,), "cutoff": 3.7}
CH4, ETHANOL, BPA = "mol_CH4_pwmat/MD", "mol_ethanol_pwmat/MD", "mol_3BPA/mixedT"
METHODS = ("random", "k-means", "fps", "msc", "cover", "diversity", "pareto")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What is run; every method is compared with a random choice of the same size, and with the full set."""

    data_sets: tuple[DataSet, ...]
    neural: tuple[str, ...]  # data sets that the network is trained on too
    learned: tuple[str, ...]  # data sets whose weights of selection are learned too
    methods: tuple[str, ...] = METHODS
    sizes: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.7)  # shares of the structures, or of the atoms
    neural_sizes: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)  # shares of the structures; and 1
    seeds: int = 5
    neural_seeds: int = 3
    hidden: int = 100  # units of the random layer of the linear model
    training: Training = Training()
    learning_steps: int = 300  # of the weights of selection


FULL = Protocol(
    data_sets=(
        DataSet("Si without vacancies", without=("Vacancy",), **SI),
        DataSet("Mo without surfaces", without=("Surface",), **MO),
        DataSet("CH4 300 K", (1, 6), 5.0, f"{CH4}_300K", outside=(f"{CH4}_500K", f"{CH4}_1200K")),
        DataSet("fullerenes", train="carbon_GAP20/Fullerenes", outside=("carbon_GAP20/Nanotubes",), **C),
        DataSet(
            "3BPA 300 K",
            (1, 6, 7, 8),
            4.0,
            "mol_3BPA/train_300K",
            f"{BPA}_300K_part",
            (f"{BPA}_600K_part", f"{BPA}_1200K_part"),
            most=150,
        ),
        DataSet(
            "carbon RSS",
            train="carbon_GAP20/Crystalline_RSS",
            outside=("carbon_GAP20/Amorphous_Bulk_sample", "carbon_GAP20/Diamond"),
            **C,
        ),
        DataSet("Si without surfaces", without=("Surface",), **SI),
        DataSet("Mo without vacancies", without=("Vacancy",), **MO),
        DataSet(
            "ethanol 100 K", (1, 6, 8), 4.5, f"{ETHANOL}_100K", outside=(f"{ETHANOL}_300K", f"{ETHANOL}_400K")
        ),
        DataSet("Si", **SI),
        DataSet("Mo", **MO),
        DataSet("water", (1, 8), 4.0, "water_deepmd/data_1", "water_deepmd/data_3", most=60, most_tested=20),
    ),
    neural=("Mo without surfaces", "CH4 300 K", "ethanol 100 K"),
    learned=("Si without vacancies", "Mo without surfaces", "fullerenes"),
)

SMOKE = Protocol(
    data_sets=(DataSet("silicon", (14,), 3.2, "", without=("amorphous", "liquid"), most=19),),
    neural=("silicon",),
    learned=("silicon",),
    methods=("random", "k-means", "msc", "cover"),
    sizes=(0.2, 0.5),
    neural_sizes=(0.2,),
    seeds=2,
    neural_seeds=1,
    hidden=10,
    training=Training(hidden=(8,), steps=40, chunk=20),
    learning_steps=20,
)
