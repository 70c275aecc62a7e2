"""The commands that divide a data set, and that judge how it was divided."""

from __future__ import annotations

import click
import numpy as np

from quests_jax.atoms.formats import structure_suffix
from quests_jax.base.checks import InputError, located
from quests_jax.base.environments import of_structures
from quests_jax.base.wording import agreeing, counted, percent
from quests_jax.cli.file_arguments import Inputs, parse_inputs
from quests_jax.cli.input_contents import Data
from quests_jax.cli.main_command import command
from quests_jax.cli.options import FILES, KERNEL, SEED
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.cli.typed_again import (
    typed,
)
from quests_jax.studies.leakage import Leakage, find_leakage
from quests_jax.studies.splitting import FRACTIONS, isolated
from quests_jax.studies.splitting import split as divide

NAMES = ("train", "valid", "test")
WORTH = {  # of a test, by the verdict on its leakage
    "leaks": "errors on test show how well a potential remembers",
    "like a random split": "no stricter than a random split, because these data have no parts that differ "
    "more; errors on test show how well a potential remembers",
    "partly independent": "stricter than a random split, and not independent",
    "independent": "errors on test show how a potential generalizes",
}
BLIND = "nothing follows from that at this bandwidth; try -b auto"
MISSED = 0.25  # of a share: parts further from their size are told
DEFAULT = ",".join(map(str, FRACTIONS))


def _parse_fractions(context: click.Context, parameter: click.Parameter, text: str) -> list[float]:
    del context, parameter
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"fractions must be numbers with commas, as {DEFAULT}; got {text}.") from None


@command(
    FILES,
    click.option(
        "--fractions",
        default=DEFAULT,
        show_default=True,
        callback=_parse_fractions,
        help="Shares of the structures, in the order of the outputs.",
    ),
    click.option(
        "--group",
        help="Label, such as config_type, whose structures stay together, in place of families found.",
    ),
    SEED,
    *KERNEL,
    kind="structures",
    examples=(
        "split data.xyz -o train.xyz -o valid.xyz -o test.xyz",
        "split data.xyz --fractions 0.9,0.1 -b auto -o train.xyz -o test.xyz",
        "split md/*.xyz --group run -o train.xyz -o valid.xyz -o test.xyz",
    ),
)
def split(run: Run, files: Inputs, fractions: list[float], group: str | None, seed: int) -> Report:
    """Divide FILE so that no part knows another: into train, valid and test.

    Structures that cover each other form blocks, which are never divided; so copies, frames of one simulation
    and relaxations of one crystal end up on one side. A random split tests how well a potential remembers;
    this one tests how well it generalizes, and errors on it are larger. Isolated atoms go to train.
    Structures are written as they stand in FILE.
    """
    written = sum(structure_suffix(path) is not None for path in run.writing.outputs)
    if 0 < written < len(fractions):
        parts, outputs = counted(len(fractions), "part"), counted(written, "file")
        raise InputError(
            f"{parts} and {outputs} for structures; name a file for each part, or as many "
            "--fractions as files."
        )
    given = run.load(files)
    fit = run.judge_bandwidth(given.envs)
    with located(given.name), run.stage("split"):
        groups = _groups(given, group)
        found = divide(given.envs, fractions, groups=groups, bandwidth=run.bandwidth, seed=seed)
    with run.stage("leakage"):
        parts = [of_structures(given.envs, part) for part in found.parts]
        leakage = [find_leakage(part, parts[0], bandwidth=run.bandwidth) for part in parts[1:]]
    counts = given.envs.counts
    names = NAMES if len(fractions) == 3 else ("train", *(f"part {i}" for i in range(2, len(fractions) + 1)))
    if len(fractions) == 2:
        names = ("train", "test")
    covered = [None, *(each.covered.environments for each in leakage)]
    halves = leakage[0].halves.environments
    data = {
        "n_structures": given.envs.n_structures,
        "n_environments": len(given.envs),
        "fractions": fractions,
    }
    data |= {"blocks": found.n_blocks, "level": found.level, "sizes": [len(part) for part in found.parts]}
    data |= {"parts": dict(zip(names, found.parts, strict=True)), "covered_by_train": covered}
    data |= {"halves_of_train": halves}
    rows = [
        (name, len(part), int(counts[part].sum()), "" if share is None else percent(share))
        for name, part, share in zip(names, found.parts, covered, strict=True)
    ]
    structures = [[given.structures[i] for i in part] for part in found.parts] if given.structures else []
    words = (
        ""
        if found.level is None
        else f"; no structure is more than {percent(found.level)} like one of another block"
    )
    worth = WORTH[leakage[-1].verdict] if fit.fits else BLIND
    advice = [
        f"{counted(found.n_blocks, 'block')}{words}. Train covers {percent(covered[-1] or 0)} of "
        f"{names[-1]}; one random half of train covers {percent(halves)} of the other: {worth}."
    ]
    shares = np.array([len(part) for part in found.parts]) / given.envs.n_structures
    if np.any(abs(shares - fractions) > MISSED * np.asarray(fractions)):
        advice.append(
            f"The parts hold {', '.join(map(percent, shares))} of the structures instead of "
            f"{', '.join(map(percent, fractions))}, because blocks are not divided. Smaller blocks need a "
            "smaller bandwidth (-b) or labels (--group)."
        )
    if not run.writing.outputs:
        outputs = " ".join(f"-o {name.replace(' ', '')}.xyz" for name in names)
        advice.append(f"To write the parts:\n  quests-jax split {typed(files)} {outputs}")
    header = ("part", "structures", "atoms", "covered by train")
    return Report(data, rows, header, sets=structures, advice=advice)


@command(
    click.argument("train", callback=parse_inputs),
    click.argument("test", callback=parse_inputs),
    SEED,
    *KERNEL,
    examples=("leakage train.xyz test.xyz", "leakage train.xyz test.xyz -b auto -o leakage.json"),
)
def leakage(run: Run, train: Inputs, test: Inputs, seed: int) -> Report:
    """Measure how much of TEST the training set TRAIN knows already.

    Copies, structures whose environments are all covered, and environments that are covered, beside what one
    random half of TRAIN covers of the other: a test that is covered as much is no better than a random split.
    """
    known, given = run.load(train), run.load(test)
    fit = run.judge_bandwidth(known.envs)
    structures = (given.structures, known.structures) if given.structures and known.structures else None
    with run.stage("leakage"):
        found = find_leakage(
            given.envs, known.envs, structures=structures, bandwidth=run.bandwidth, seed=seed
        )
    copies = None if found.copies is None else len(found.copies)
    data = {"train_structures": known.envs.n_structures, "test_structures": given.envs.n_structures}
    data |= {"copies": copies, "copied": found.copies, "covered": found.covered._asdict()}
    data |= {"halves": found.halves._asdict(), "verdict": found.verdict}
    rows = [
        ("copies of structures", "unknown" if copies is None else f"{copies:,}", ""),
        ("structures covered", percent(found.covered.structures), percent(found.halves.structures)),
        ("atoms covered", percent(found.covered.environments), percent(found.halves.environments)),
    ]
    header = ("", "TEST by TRAIN", "halves of TRAIN")
    return Report(data, rows, header, advice=_judged(found, fit.fits, typed(train, options=()), typed(test)))


def _groups(given: Data, key: str | None) -> list[str] | None:
    """Label of each structure; isolated atoms, which go to train, need none."""
    if key is None:
        return None
    single = isolated(given.envs)
    lacking = [i for i, atoms in enumerate(given.structures) if key not in atoms.info and not single[i]]
    if lacking or not given.structures:
        first = f" (the first is {lacking[0]})" if lacking else ""
        which = "all structures have"
        if lacking:
            which = f"{counted(len(lacking), 'structure')} {agreeing(len(lacking), 'has', 'have')}"
        raise InputError(f"{which} no {key}{first}; name a label that all of them have.")
    return [str(atoms.info.get(key, f"isolated {i}")) for i, atoms in enumerate(given.structures)]


def _judged(found: Leakage, fits: bool, train: str, test: str) -> list[str]:
    """What the test is worth, and how to make a better one."""
    again = f"\n  quests-jax split {train} {test} -o train.xyz -o valid.xyz -o test.xyz"
    if found.verdict == "leaks":
        count = 0 if found.copies is None else len(found.copies)
        are = agreeing(count, "is", "are")
        return [f"TEST leaks: {count:,} of its structures {are} in TRAIN. Divide again:{again}"]
    share = f"TRAIN covers {percent(found.covered.environments)} of TEST"
    half = f"one random half of TRAIN covers {percent(found.halves.environments)} of the other"
    if not fits:
        return [f"{share}, and {half}: {BLIND}."]
    if found.verdict == "like a random split":
        words = "errors on it show how well a potential remembers, not how well it generalizes"
        best = "To see how strictly these data can be divided"
        return [f"{share}, and {half}: no better than a random split, {words}. {best}:{again}"]
    if found.verdict == "partly independent":
        return [f"{share}, and {half}: partly independent. For a stricter test:{again}"]
    return [f"{share}, and {half}: TEST is independent. Errors on it show how a potential generalizes."]
