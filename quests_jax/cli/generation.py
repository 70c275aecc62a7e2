"""The commands that make structures: new ones by gradient, and the simulated data set."""

from __future__ import annotations

from typing import Any, NamedTuple

import click
import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.checks import InputError, check_count, located
from quests_jax.base.json_values import plain
from quests_jax.base.progress import advance
from quests_jax.cli.bandwidth_choice import AUTO
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.input_contents import Given
from quests_jax.cli.main_command import command
from quests_jax.cli.options import FILE, PLAIN_KERNEL, REFERENCE_OR_FILE, SEED
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.datasets import generate as simulate
from quests_jax.generate.augmentation import Goal
from quests_jax.generate.augmentation import augment as augment_one
from quests_jax.generate.bias import Known, known_environments


class Asked(NamedTuple):
    """Options of `augment`, by their names on the command line."""

    number: int
    index: int | None
    target: float
    pool: str
    closest: float | None
    max_steps: int
    smooth: bool
    seed: int


@command(
    FILE,
    REFERENCE_OR_FILE,
    click.option("-n", "--number", type=int, default=1, show_default=True, help="Number of new structures."),
    click.option("-i", "--index", type=int, help="Structure of FILE to start from.  [default: random]"),
    click.option(
        "--target",
        type=float,
        default=30.0,
        show_default=True,
        help="Delta entropy to reach, in nats; inf for the largest that is found.",
    ),
    click.option(
        *("--of", "pool"),
        type=click.Choice(["mean", "max"]),
        default="mean",
        show_default=True,
        help="Which value must reach the target: the mean or the largest over atoms.",
    ),
    click.option(
        "--closest",
        type=float,
        help="Smallest distance between atoms, in Å.  [default: 75 % of the shortest at the start]",
    ),
    click.option(
        "--max-steps",
        type=int,
        default=100,
        show_default=True,
        help="Number of steps of each of three attempts.",
    ),
    click.option("--smooth", is_flag=True, help="Use the descriptor without jumps, for FILE and REFERENCE."),
    SEED,
    *PLAIN_KERNEL,
    kind="atoms",
    examples=(
        "augment data.xyz -o new.xyz",
        "augment start.xyz -r data.xyz -n 5 --target 20 --closest 1.8 -o new.xyz -o new.json",
        "augment data.xyz -i 0 --of max --target inf -o strange.xyz",
    ),
)
def augment(run: Run, file: Inputs, reference: Inputs | None, **options: Any) -> Report:
    """Make structures that are new to a reference, by gradient.

    Atoms of a structure of FILE are moved until its delta entropy reaches the target; cell and elements stay.
    No two atoms come closer than the closest approach. Each new structure counts as known to the next.
    """
    asked = Asked(**options)
    given = run.read(file)
    if not given.structures:
        raise InputError(f"{given.name}: holds descriptors; give structures to start from.")
    starts = _starts(given, asked)
    known = _known(run, given if reference is None else run.read(reference), asked.smooth)
    goal = Goal(asked.target, getattr(jnp, asked.pool), asked.closest, asked.max_steps)
    data = asked._asdict() | {"reference_environments": np.shape(known.x)[0]}
    made, structures, key = [], [], jax.random.key(asked.seed)
    with run.stage("augmentation"):
        for number, start in enumerate(starts):
            advance("new structures", number, len(starts))
            with located(f"{given.name}: structure {start}"):
                new = augment_one(
                    given.structures[start], known, goal=goal, key=jax.random.fold_in(key, number)
                )
            known, dH = known.including([new.structure]), new.delta_entropy
            new.structure.arrays["delta_entropy"] = dH
            new.structure.info |= {"start": start, "closest_approach": new.closest}
            structures.append(new.structure)
            made.append({"start": start, "mean_delta_entropy": dH.mean(), "max_delta_entropy": dH.max()})
            made[-1] |= {"closest": new.closest, "evaluations": len(new.history)}
    header = ("start", "mean δH", "largest δH", "no atoms closer than (Å)", "evaluations")
    rows = [list(row.values()) for row in plain(made)]
    return Report(data | {"structures": made}, rows, header, structures=structures)


@command(
    click.argument("name", default="silicon"),
    SEED,
    kind="structures",
    examples=("generate -o silicon.xyz.gz", "generate metals --seed 1 -o metals.xyz"),
)
def generate(run: Run, name: str, seed: int) -> Report:
    """Simulate a data set: silicon, carbon or metals.

    silicon is the one that comes with the package. carbon holds graphene, diamond, nanotubes, fullerenes,
    liquid, glass and defects, after GAP-20, in the Tersoff potential; metals holds Al, Ni, Cu, Pd, Ag, Pt
    and Au, each cold, warm and molten, after TM23, in the effective-medium theory. Structures come with
    energies and forces.
    """
    with run.stage("simulation"):
        structures = simulate(
            name, seed=seed, progress=lambda _, done, total: advance("simulation", done, total)
        )
    atoms = sum(map(len, structures))
    data = {"name": name, "seed": seed, "n_structures": len(structures), "n_environments": atoms}
    return Report(data, [("structures", len(structures)), ("atoms", atoms)], structures=structures)


def _starts(given: Given, asked: Asked) -> list[int]:
    """Numbers of the structures to start from, in turn: the one asked for, or drawn at random."""
    check_count("number", asked.number)
    total = len(given.structures)
    if asked.index is None:
        return np.random.default_rng(asked.seed).integers(total, size=asked.number).tolist()
    if not 0 <= asked.index < total:
        raise InputError(
            f"{given.name}: has no structure {asked.index}; give a number from 0 to {total - 1}."
        )
    return [asked.index] * asked.number


def _known(run: Run, given: Given, smooth: bool) -> Known:
    if run.parameters["bandwidth"] == AUTO:
        run.describe(given)  # which settles it
    if given.described is None:
        with run.stage("descriptors"), located(given.name):
            return known_environments(given.structures, **run.parameters, smooth=smooth)
    if smooth:
        raise InputError(
            f"{given.name}: holds descriptors of the usual kind; give structures, or leave out --smooth."
        )
    return Known(given.described.x, **run.parameters)
