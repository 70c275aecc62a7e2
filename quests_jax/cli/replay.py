"""The command that chooses what to replay while a potential is fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from quests_jax.atoms.labels import find_labels
from quests_jax.base.checks import InputError, located
from quests_jax.base.selection_size import Size
from quests_jax.base.wording import agreeing, percent
from quests_jax.cli.file_arguments import Inputs, parse_inputs
from quests_jax.cli.input_contents import Given
from quests_jax.cli.main_command import command
from quests_jax.cli.options import FILES, KERNEL, parse_one_size
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.studies.replay_set import FILTERS, WEIGHTINGS, choose_replay, passing

HEAD = "head"  # names in info that MACE reads
WEIGHT = "config_weight"


@command(
    FILES,
    click.option(
        *("-r", "--reference"),
        required=True,
        multiple=True,
        callback=parse_inputs,
        help="The fine-tuning set. May be repeated.",
    ),
    click.option(
        *("-s", "--size"),
        required=True,
        callback=parse_one_size,
        help="Structures to replay: a number, or a fraction of those that pass the filter.",
    ),
    click.option(
        *("--filter", "elements_filter"),
        type=click.Choice(list(FILTERS)),
        default="combinations",
        show_default=True,
        help="Which elements structures of the pool may have, see below.",
    ),
    click.option(
        "--weighting",
        type=click.Choice(WEIGHTINGS),
        default="even",
        show_default=True,
        help="Environments that count more: towards or away from the fine-tuning set.",
    ),
    click.option("--head", default="pt_head", show_default=True, help="Head of the structures to replay."),
    click.option(
        "--finetune-head", default="Default", show_default=True, help="Head of the fine-tuning set."
    ),
    click.option(
        *("--config-weight", "weight"),
        type=float,
        default=1.0,
        show_default=True,
        help="Weight in the loss of the structures to replay.",
    ),
    click.option("--combined", type=Path, help="File for the fine-tuning set and the chosen structures."),
    *KERNEL,
    kind="structures",
    examples=(
        "replay pool.xyz -r finetune.xyz -s 20 -o replay.xyz",
        "replay pool.xyz -r finetune.xyz -s 10% --weighting towards -o replay.xyz --combined all.xyz",
        "replay 'runs/*.xyz' -r finetune.xyz -s 20 --filter inclusive --config-weight 0.5 -o replay.xyz",
    ),
    notes=("Filters:", *(f"  {name:<13} {meaning}" for name, meaning in FILTERS.items())),
)
def replay(
    run: Run,
    files: Inputs,
    reference: Inputs,
    size: Size,
    elements_filter: str,
    weighting: str,
    head: str,
    finetune_head: str,
    weight: float,
    combined: Path | None,
) -> Report:
    """Choose structures of FILE to replay while a potential is fine-tuned on another set.

    For multihead fine-tuning: of the structures whose elements pass the filter, a greedy cover takes those
    that stand for the most of them. Each gets its head and its config_weight in info. If fewer pass than are
    asked for, that is an error: nothing else is put in their place.
    """
    pool, finetune = run.read(files), run.read(reference)
    for given in (pool, finetune):
        if not given.structures:
            raise InputError(f"{given.name}: holds descriptors; give structures.")
    elements = sorted({symbol for atoms in finetune.structures for symbol in atoms.get_chemical_symbols()})
    with located(pool.name):
        passed = passing(pool.structures, elements, elements_filter)
    _check_number(pool, passed, size, elements_filter, elements)
    known = run.describe(finetune).envs
    data = run.describe(pool.some(passed))
    run.judge_bandwidth(data.envs)
    with run.stage("selection"):
        found = choose_replay(data.envs, known, size=size, weighting=weighting, bandwidth=run.bandwidth)
    selected = passed[found.selection.selected]
    chosen = [pool.structures[i] for i in selected]
    for atoms in chosen:
        atoms.info |= {HEAD: head, WEIGHT: weight}
    atoms = int(data.envs.counts[found.selection.selected].sum())
    summary = {
        "selected": selected,
        "places": [pool.places[i] for i in selected],
        "gains": found.selection.gains,
        "size": len(selected),
        "elements_of_finetuning": elements,
        "filter": elements_filter,
        "weighting": weighting,
        "n_structures": len(pool.structures),
        "n_passing": len(passed),
        "n_environments": len(data.x),
        "selected_environments": atoms,
        "reference_environments": len(known),
        "known_to_finetuning": found.known,
        "coverage": found.selection.coverage,
        "upper_bound": found.selection.upper_bound,
        "certified_ratio": found.selection.certified_ratio,
        "bound_failure_probability": found.failure_probability,
        "head": head,
        "config_weight": weight,
    }
    rows = [
        ("structures in the pool", len(pool.structures)),
        (f"that pass ({elements_filter}: {', '.join(elements)})", len(passed)),
        ("chosen", len(selected)),
        ("atoms chosen", atoms),
        ("share of atoms like the fine-tuning set", found.known),
        ("coverage of what passes, weighted", found.selection.coverage),
        ("certified ratio", found.selection.certified_ratio),
    ]
    apart = {}
    if combined is not None:
        for atoms_ in finetune.structures:
            atoms_.info.setdefault(HEAD, finetune_head)
        apart[combined] = [*finetune.structures, *chosen]
    advice = _advice(summary, pool, finetune, run.writing.outputs)
    return Report(summary, rows, structures=chosen, apart=apart, advice=advice)


def _check_number(
    pool: Given, passed: np.ndarray, size: Size, elements_filter: str, elements: list[str]
) -> None:
    """Raise `InputError` if fewer structures pass than are asked for."""
    wanted, number = int(size.value), len(passed)
    try:
        size.of(number)
    except InputError:
        raise InputError(
            f"{pool.name}: {wanted} {agreeing(wanted, 'structure is', 'structures are')} asked for and only "
            f"{number} of {len(pool.structures)} {agreeing(number, 'passes', 'pass')} the filter "
            f"{elements_filter} of {', '.join(elements)}; ask for at most {number}, or use another --filter."
        ) from None


def _advice(summary: dict, pool: Given, finetune: Given, outputs: Sequence[Path]) -> list[str]:
    """What the choice stands for, labels that do not agree, and the command to train with."""
    size, reach = summary["size"], agreeing(summary["size"], "reaches", "reach")
    sentences = [
        f"{size:,} of {summary['n_passing']:,} structures that pass {reach} a coverage of "
        f"{percent(summary['coverage'])} of them; {percent(summary['known_to_finetuning'])} of their "
        "environments are like the fine-tuning set."
    ]
    names = [find_labels(given.structures).names["energy"] for given in (pool, finetune)]
    keys = [found.most_common(1)[0][0] if found else None for found in names]
    if keys[0] != keys[1]:
        sentences.append(
            f"Energies are called {keys[0] or 'nothing'} in the pool and {keys[1] or 'nothing'} in the "
            "fine-tuning set: name both to the training program."
        )
    files = [path for path in outputs if path.suffix == ".xyz"]
    if files:
        sentences.append(
            f"Train with:\n  mace_run_train --multiheads_finetuning=True --pt_train_file={files[0]} ..."
        )
    return sentences
