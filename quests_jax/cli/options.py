"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from quests_jax.base.defaults import DEFAULT_BANDWIDTH, DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.sizes import Size, parse_size
from quests_jax.cli.inputs import parse_inputs


def _parse_size(context: click.Context, _: click.Parameter, text: str) -> Size:
    del context
    return parse_size(text)


def parse_sizes(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[Size]:
    """Each of several sizes."""
    return [_parse_size(context, parameter, text) for text in texts]


def _parse_species(context: click.Context, _: click.Parameter, text: str | None) -> list[str] | None:
    del context
    return None if text is None else [symbol.strip() for symbol in text.split(",")]


AUTO = "auto"  # a bandwidth that the data decide


class _Bandwidth(click.ParamType):
    """A number, or auto."""

    name = "FLOAT|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """The number, or "auto"."""
        return AUTO if value == AUTO else click.FLOAT.convert(value, param, ctx)


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
        "--species", callback=_parse_species, help="Elements to tell apart, as Na,Cl.  [default: none]"
    ),
)
BANDWIDTH = click.option(
    *("-b", "--bandwidth"),
    type=_Bandwidth(),
    default=DEFAULT_BANDWIDTH,
    show_default=True,
    help="Of the kernel, in Å⁻¹, or auto: what fits the data (see `bandwidth`).",
)
KERNEL = (*DESCRIPTOR, BANDWIDTH)
PLAIN_KERNEL = (*DESCRIPTOR[:2], BANDWIDTH)  # elements are not told apart
SIZE = click.option(
    *("-s", "--size"),
    default="0.1",
    show_default=True,
    callback=_parse_size,
    help="What to keep: 0.1 or 10% is a fraction, 100 a number of structures, 1.0 everything.",
)
WORK = (
    click.option(
        "--work",
        type=Path,
        help="Folder to work in, for data past memory. A run that was killed goes on from there.",
    ),
    click.option("--coordinator", help="HOST:PORT of process 0 of several, or auto."),
    click.option("--num-processes", type=int, help="Processes that share the folder."),
    click.option("--process-id", type=int, help="Number of this one, from 0."),
)
REFERENCE_HELP = "File with the data that counts as known."
REFERENCE = click.option("-r", "--reference", callback=parse_inputs, help=REFERENCE_HELP)
REFERENCE_OR_FILE = click.option(
    *("-r", "--reference"), callback=parse_inputs, help=f"{REFERENCE_HELP}  [default: FILE itself]"
)
SEED = click.option("--seed", type=int, default=0, show_default=True, help="Of the random numbers.")
OUTPUT = (
    click.option("-o", "--output", "outputs", type=Path, multiple=True, help="To write; may be repeated."),
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
