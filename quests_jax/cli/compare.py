"""The command that compares rules of choice."""

from __future__ import annotations

from functools import partial

import click

from quests_jax.base.checks import located
from quests_jax.base.sizes import Size
from quests_jax.cli.inputs import Inputs
from quests_jax.cli.options import FILES, KERNEL, parse_sizes
from quests_jax.cli.run import Report, Run
from quests_jax.cli.shell import command
from quests_jax.output.figures import draw_comparison
from quests_jax.studies.comparison import compare_environments, config_types, find_rules, force_tail, table


@command(
    FILES,
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
def compare(run: Run, files: Inputs, sizes: list[Size], methods: tuple[str, ...]) -> Report:
    """Compare rules of choice on FILE at several sizes.

    Overlap, ratio of the coverage to a bound that no choice can exceed, entropy H, diversity D, largest
    delta entropy, share of the force tail that is kept, and time; the outputs hold more.
    """
    run.refuse_bare_matrix(files)
    given = run.load(files)
    tail, labels = force_tail(given.structures), config_types(given.structures)
    find_rules(methods, labels)
    run.judge_bandwidth(given.envs)
    with located(given.name), run.stage("comparison"):
        known = {"bandwidth": run.bandwidth, "tail": tail, "labels": labels}
        rows = compare_environments(given.envs, sizes=sizes, methods=methods or None, **known)
    data = {"n_structures": given.envs.n_structures, "n_environments": len(given.x), "rows": rows}
    header, cells = table(rows)
    draw = partial(draw_comparison, rows, title=f"{given.name}: {run.caption()}")
    return Report(data, cells, header, draw=draw)
