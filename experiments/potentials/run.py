"""Train potentials on compressed data sets and test them in and out of distribution: see README.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from data import DataSet, load
from study import basis_of, linear_fits, plan, study

import quests_jax as qj
from quests_jax.compress import versions
from quests_jax.console import show_progress
from quests_jax.files import write_json

# ---- The protocol ---------------------------------------------------------------------------------------

METHODS = ("random", "k-means", "fps", "msc", "cover", "diversity", "pareto")  # and the full set
SIZES = (0.05, 0.1, 0.2, 0.4, 0.7)  # shares of the structures, or of the atoms; 1 is the full set
SEEDS = {"ridge": 5, "neural": 3}
SI, MO = {"elements": (14,), "cutoff": 5.0}, {"elements": (42,), "cutoff": 4.8}
DATA_SETS = (
    DataSet("Si without vacancies", train="mlearn/Si_train", inside="mlearn/Si_test", without=("Vacancy",), **SI),
    DataSet("Mo without surfaces", train="mlearn/Mo_train", inside="mlearn/Mo_test", without=("Surface",), **MO),
    DataSet("fullerenes", (6,), 3.7, "carbon_GAP20/Fullerenes", None, ("carbon_GAP20/Nanotubes", "carbon_GAP20/Graphite")),
    DataSet("CH4 300 K", (1, 6), 5.0, "mol_CH4_pwmat/MD_300K", None, ("mol_CH4_pwmat/MD_500K", "mol_CH4_pwmat/MD_1200K")),
    DataSet("3BPA 300 K", (1, 6, 7, 8), 4.0, "mol_3BPA/train_300K", "mol_3BPA/mixedT_300K_part",
            ("mol_3BPA/mixedT_600K_part", "mol_3BPA/mixedT_1200K_part"), most=150),
    DataSet("carbon RSS", (6,), 3.7, "carbon_GAP20/Crystalline_RSS", None, ("carbon_GAP20/Amorphous_Bulk_sample", "carbon_GAP20/Diamond")),
    DataSet("Si without surfaces", train="mlearn/Si_train", inside="mlearn/Si_test", without=("Surface",), **SI),
    DataSet("Mo without vacancies", train="mlearn/Mo_train", inside="mlearn/Mo_test", without=("Vacancy",), **MO),
    DataSet("Si", train="mlearn/Si_train", inside="mlearn/Si_test", **SI),
    DataSet("Mo", train="mlearn/Mo_train", inside="mlearn/Mo_test", **MO),
    DataSet("ethanol 100 K", (1, 6, 8), 4.5, "mol_ethanol_pwmat/MD_100K", None, ("mol_ethanol_pwmat/MD_300K", "mol_ethanol_pwmat/MD_400K")),
    DataSet("water", (1, 8), 4.0, "water_deepmd/data_1", "water_deepmd/data_3", most=60, most_tested=20),
)
HIDDEN = 100  # units of the random layer of the linear model
