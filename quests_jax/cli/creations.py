"""The commands that make structures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from quests_jax.cli.options import FILE, PLAIN_KERNEL, REFERENCE_OR_FILE, SEED
from quests_jax.cli.shell import command

if TYPE_CHECKING:
    from quests_jax.cli.run import Report, Run


@command(
    FILE,
    REFERENCE_OR_FILE,
    click.option("-n", "--number", type=int, default=1, show_default=True, help="New structures."),
    click.option("-i", "--index", type=int, help="Structure of FILE to start from.  [default: random]"),
    click.option(
        "--target", type=float, default=30.0, show_default=True, help="Delta entropy, in nats; inf: the most."
    ),
    click.option(
        *("--of", "pool"),
        type=click.Choice(["mean", "max"]),
        default="mean",
        show_default=True,
        help="What is to reach the target: the mean or the largest value of all atoms.",
    ),
    click.option(
        "--closest", type=float, help="Å between atoms.  [default: 75 % of the shortest at the start]"
    ),
    click.option("--max-steps", type=int, default=100, show_default=True, help="Of each of three attempts."),
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
def augment(run: Run, file: str, reference: str | None, **asked: Any) -> Report:
    """Make structures that are new to a reference, by gradient.

    Atoms of a structure of FILE are moved until its delta entropy reaches the target; cell and elements stay.
    No two atoms come closer than the closest approach. Each new structure counts as known to the next.
    """
    from quests_jax.cli import generation

    return generation.augment(run, file, reference, generation.Asked(**asked))


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
    from quests_jax.cli import generation

    return generation.generate(run, name, seed)
