"""The command that compares rules of choice."""

from __future__ import annotations

from functools import partial

import click

from quests_jax.base.checks import located
from quests_jax.base.selection_size import Size
from quests_jax.cli.choice_sentences import about_rules, rules_in_lines
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.main_command import command
from quests_jax.cli.options import FILES, KERNEL, WORK, parse_sizes
from quests_jax.cli.past_memory import load_some
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    typed,
)
from quests_jax.output.chart_data import comparison_charts
from quests_jax.output.comparison_table import table
from quests_jax.output.matplotlib_figures import draw
from quests_jax.studies.comparison import (
    compare_environments,
    config_types,
    find_rules,
    force_tail,
    without_forces,
)

SEEDS = 5  # of random choices
SHOWN = 5  # structures named in a sentence


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
    click.option(
        "--equal",
        type=click.Choice(["structures", "atoms"]),
        default="structures",
        show_default=True,
        help="What sizes count: structures, or the atoms in them.",
    ),
    *KERNEL,
    *WORK,
    kind="figures",
    examples=(
        "compare data.xyz -o compare.json -o compare.png",
        "compare data.xyz -s 10% --equal atoms -m msc -m cover -m random",
        "compare data.xyz -s 0.1 -s 20 -m msc -m cover -m random",
    ),
    notes=rules_in_lines(),
)
def compare(run: Run, files: Inputs, sizes: list[Size], methods: tuple[str, ...], equal: str) -> Report:
    """Compare rules of choice on FILE at several sizes.

    The table shows structures and atoms kept, overlap, the ratio of the coverage to a bound that no choice
    can exceed, entropy H, diversity D, the largest delta entropy and the share of the force tail that is
    kept; outputs hold more, such as times. Random choices are the mean of 5 seeds, ± their standard
    deviation. With --work, rules are compared on structures drawn at random.
    """
    run.refuse_bare_matrix(files)
    given = load_some(run, files)
    tail, labels = force_tail(given.structures), config_types(given.structures)
    rules = find_rules(methods, labels)
    run.judge_bandwidth(given.envs)
    with located(given.name), run.stage("comparison"):
        known = {"bandwidth": run.bandwidth, "tail": tail, "labels": labels, "equal": equal, "seeds": SEEDS}
        rows = compare_environments(given.envs, sizes=sizes, methods=methods or None, **known)
    data = {
        "n_structures": given.envs.n_structures,
        "n_environments": len(given.x),
        "drawn_from": given.drawn_from,
        "equal": equal,
        "rows": rows,
    }
    header, cells = table(rows)
    drawn = partial(draw, comparison_charts(rows), title=run.title(given.name), columns=3)
    advice = given.about_draw() + about_rules(rows, name=typed(files), equal=equal)
    left_out = set(rules) - {row["method"] for row in rows}
    if left_out:
        advice.append(f"Left out, as they cannot keep a number of atoms: {', '.join(sorted(left_out))}.")
    unknown = [given.places[number] for number in without_forces(given.structures)]
    if tail is not None and unknown:
        named = ", ".join(f"structure {index} of {file}" for file, index in unknown[:SHOWN])
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        advice.append(f"Forces are missing or not finite, and not among the large ones, in {named}{more}.")
    return Report(data, cells, header, draw=drawn, advice=advice)
