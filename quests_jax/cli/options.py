"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from quests_jax.atoms.element_channels import CENTER, MODES
from quests_jax.atoms.learned import SCALES
from quests_jax.base.defaults import DEFAULT_BANDWIDTH, DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.selection_size import Size, parse_size
from quests_jax.cli.bandwidth_choice import Bandwidth
from quests_jax.cli.file_arguments import parse_inputs


def parse_one_size(context: click.Context, _: click.Parameter, text: str | None) -> Size | None:
    """A size, or None where none is given."""
    del context
    return None if text is None else parse_size(text)


def parse_sizes(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[Size]:
    """Each of several sizes."""
    del context, parameter
    return [parse_size(text) for text in texts]


def _parse_species(context: click.Context, _: click.Parameter, text: str | None) -> list[str] | None:
    del context
    return None if text is None else [symbol.strip() for symbol in text.split(",")]


FILE = click.argument("file", callback=parse_inputs)
FILES = click.argument("files", nargs=-1, required=True, metavar="FILE...", callback=parse_inputs)
DESCRIPTOR = (
    click.option(
        "-k", "--k", type=int, default=DEFAULT_K, show_default=True, help="Neighbors per environment."
    ),
    click.option(
        "-c", "--cutoff", type=float, default=DEFAULT_CUTOFF, show_default=True, help="Cutoff, in Å."
    ),
    click.option(
        "--elements",
        type=click.Choice(MODES),
        default=CENTER,
        show_default=True,
        help="Elements told apart: none, as in QUESTS; that of the center; or those of the neighbors too.",
    ),
    click.option(
        "--species",
        callback=_parse_species,
        help="Elements of neighbors to tell apart one by one, as Na,Cl.  [default: none]",
    ),
    click.option(
        "--descriptor",
        help="Another descriptor: array:KEY of the structures, FILE.npz, nequix:FILE.nqx, mace:FILE, or "
        "soap:species=Si+O.  [default: QUESTS]",
    ),
    click.option(
        "--scale",
        type=click.Choice(SCALES),
        default=SCALES[0],
        show_default=True,
        help="Scale of the columns of --descriptor.",
    ),
)
BANDWIDTH = click.option(
    *("-b", "--bandwidth"),
    type=Bandwidth(),
    default=DEFAULT_BANDWIDTH,
    show_default=True,
    help="Kernel width in Å⁻¹; auto fits it to the data, each element that is told apart by itself (see "
    "`bandwidth`), which makes forces of potentials better with cover and energies worse with msc; "
    "0.02,O=0.03 is 0.03 for O and 0.02 for other elements.",
)
KERNEL = (*DESCRIPTOR, BANDWIDTH)
PLAIN_KERNEL = (*DESCRIPTOR[:2], BANDWIDTH)  # elements are not told apart
CHOICE = (
    click.option(
        *("-s", "--size"),
        callback=parse_one_size,
        help="Structures: 0.1 or 10% is a fraction, 100 a number, 1.0 everything.  [default: 0.1]",
    ),
    click.option(
        "--atoms", callback=parse_one_size, help="Atoms to choose, as a number or a share: 20000, 0.1 or 10%."
    ),
    click.option("--cost", help="What a structure costs: a name in info that holds a number, or n_atoms."),
    click.option("--budget", callback=parse_one_size, help="Sum of the costs, a number or a fraction."),
    click.option(
        "--coverage",
        type=float,
        help="Coverage to reach with the fewest structures: the mean of min(1, mass) over environments.",
    ),
    click.option("--min-gain", type=float, help="Coverage that a structure must add to be chosen."),
)
QUOTAS = (
    click.option(
        "--keep", multiple=True, help="Keep structures that fulfill this condition. May be repeated."
    ),
    click.option(
        "--drop",
        multiple=True,
        help="Leave out structures that fulfill this condition, except those of --keep. May be repeated.",
    ),
    click.option("--by", help="Label, such as config_type or elements: each gets a share, see --at-least."),
    click.option(
        "--at-least", type=int, default=1, show_default=True, help="Structures of each label at least."
    ),
)
WORK = (
    click.option(
        "--work",
        type=Path,
        help="Folder to work in, for data past memory. A run that was killed goes on from there.",
    ),
    click.option(
        "--scheduler",
        metavar="ADDRESS|FILE.json|local:N",
        help="Dask cluster that shares the work: its scheduler, or N processes of this machine.",
    ),
)
REFERENCE_HELP = "File with data that count as known. May be repeated."
REFERENCE = click.option("-r", "--reference", multiple=True, callback=parse_inputs, help=REFERENCE_HELP)
REFERENCE_OR_FILE = click.option(
    *("-r", "--reference"),
    multiple=True,
    callback=parse_inputs,
    help=f"{REFERENCE_HELP}  [default: FILE itself]",
)
SEED = click.option("--seed", type=int, default=0, show_default=True, help="Random seed.")
OUTPUT = (
    click.option(
        "-o", "--output", "outputs", type=Path, multiple=True, help="File to write; may be repeated."
    ),
    click.option("--overwrite", is_flag=True, help="Replace outputs that exist."),
    click.option(
        "--drop-unsupported", is_flag=True, help="Leave out what the format of an output cannot hold."
    ),
    click.option("--quiet", is_flag=True, help="No progress and no table."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON in place of the table."),
    click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of an error too."),
)
LABELS = (
    click.option(
        "--energy-key", help="Name of the energies.  [default: energy, REF_energy, dft_energy, ...]"
    ),
    click.option("--forces-key", help="Name of the forces.  [default: forces, force, REF_forces, ...]"),
)
