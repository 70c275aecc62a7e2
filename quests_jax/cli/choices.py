"""The commands that choose structures of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quests_jax.cli.options import FILE, KERNEL, SIZE, WORK, parse_sizes
from quests_jax.cli.shell import command

if TYPE_CHECKING:
    from quests_jax.base.sizes import Size
    from quests_jax.cli.run import Report, Run


@command(
    FILE,
    SIZE,
    click.option(
        "-m",
        "--method",
        default="msc",
        show_default=True,
        help="Rule of choice: msc, pareto, cover, relaxed, or another that `compare` knows.",
    ),
    click.option("-r", "--reference", help="File with data that is there already, to complement."),
    click.option("--prefixes", is_flag=True, help="Measure the first 1, 2, ... structures too, in JSON."),
    *KERNEL,
    *WORK,
    kind="structures",
    examples=(
        "compress data.xyz -s 0.1 -o small.xyz -o small.json",
        "compress data.xyz -s 1.0 -m cover --prefixes -o curve.json",
        "compress new.xyz -r known.xyz -s 100 -m cover -o added.xyz",
        "compress large.xyz.gz -s 0.05 -m cover --work folder -o small.xyz",
    ),
)
def compress(run: Run, file: str, size: Size, method: str, reference: str | None, prefixes: bool) -> Report:
    """Choose the most informative structures of FILE.

    Structures are written in order of choice, so the first n of them are the choice of size n. With --work
    and -m cover, environments stay on disk, and what is finished is kept for the next run; with
    --coordinator, several processes that see the same folder divide the work.
    """
    from quests_jax.cli import commands

    return commands.compress(run, file, size, method, reference, prefixes)


@command(
    FILE,
    click.option(
        *("-s", "--size", "sizes"),
        multiple=True,
        default=("0.05", "0.1", "0.25", "0.5"),
        show_default=True,
        callback=parse_sizes,
        help="Fraction or number to keep; may be repeated.",
    ),
    click.option(
        "-m", "--method", "methods", multiple=True, help="Rule of choice, may be repeated.  [default: all]"
    ),
    *KERNEL,
    kind="figures",
    examples=(
        "compare data.xyz -o compare.json -o compare.png",
        "compare data.xyz -s 0.1 -s 100 -m msc -m cover -m random",
    ),
)
def compare(run: Run, file: str, sizes: list[Size], methods: tuple[str, ...]) -> Report:
    """Compare rules of choice on FILE at several sizes.

    Overlap, ratio of the coverage to a bound that no choice can exceed, entropy H, diversity D, largest
    delta entropy, share of the force tail that is kept, and time; the outputs hold more.
    """
    from quests_jax.cli import commands

    return commands.compare(run, file, sizes, methods)
