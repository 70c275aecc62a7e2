"""The command line `quests-jax`: names, options and help. What the commands do is in `commands`.

Modules that take long to import are imported when a command runs, so that help and completion are quick.
"""

from __future__ import annotations

import functools
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from quests_jax.checks import InputError, check_size

if TYPE_CHECKING:
    from quests_jax.large import Work
    from quests_jax.runs import Report, Run

Body = Callable[..., "Report"]
Option = Callable[[Callable[..., Any]], Callable[..., Any]]

NAME = "quests-jax"
INTERRUPTED, TERMINATED = 130, 143  # exit codes: 128 + the number of the signal


# ---- What every command shares ----


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from quests_jax.console import version_text

        click.echo(version_text())
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show versions, backend and devices.",
)
def cli() -> None:
    """Information and set cover for data sets of atomistic structures.

    FILE is anything ASE reads, a .npz or .npy file of descriptors, bundled:silicon, the data set that comes
    with the package, or a published one, downloaded when it is first named, as gap20:Diamond, tm23:Cu_cold,
    rmd17:ethanol, 3bpa:train_300K, mlearn:Si_test or colabfit:ID. An output is written in the format of its
    suffix.
    """


def _parse_size(context: click.Context, _: click.Parameter, text: str) -> Any:
    """An int for a number of structures, a float for a fraction; anything else is refused here."""
    del context
    size: Any = text
    for kind in (float, int):
        try:
            size = kind(text)
        except ValueError:
            continue
    check_size(size, sys.maxsize)  # the number of structures is not known yet
    return size


def _parse_sizes(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[Any]:
    return [_parse_size(context, parameter, text) for text in texts]


def _parse_species(context: click.Context, _: click.Parameter, text: str | None) -> list[str] | None:
    del context
    return None if text is None else [symbol.strip() for symbol in text.split(",")]


PARAMETERS = ("k", "cutoff", "species", "bandwidth")
FILE = click.argument("file")
DESCRIPTOR = (
    click.option("-k", "--k", type=int, default=32, show_default=True, help="Neighbors per environment."),
    click.option("-c", "--cutoff", type=float, default=5.0, show_default=True, help="Cutoff, in Å."),
    click.option(
        "--species", callback=_parse_species, help="Elements to tell apart, as Na,Cl.  [default: none]"
    ),
)
BANDWIDTH = click.option(
    "-b", "--bandwidth", type=float, default=0.015, show_default=True, help="Of the kernel, in Å⁻¹."
)
KERNEL = (*DESCRIPTOR, BANDWIDTH)
PLAIN_KERNEL = (*DESCRIPTOR[:2], BANDWIDTH)  # elements are not told apart
SIZE = click.option(
    "-s", "--size", default="0.1", show_default=True, callback=_parse_size, help="Fraction or number to keep."
)
SHARING = ("work", "coordinator", "num_processes", "process_id")
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
SEED = click.option("--seed", type=int, default=0, show_default=True, help="Of the random numbers.")
OUTPUT = (
    click.option("-o", "--output", "outputs", type=Path, multiple=True, help="To write; may be repeated."),
    click.option("--overwrite", is_flag=True, help="Replace outputs that exist."),
    click.option("--quiet", is_flag=True, help="No progress and no table."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON in place of the table."),
)


def command(
    *options: Option, kind: str = "numbers", examples: Sequence[str]
) -> Callable[[Body], click.Command]:
    """Make a subcommand of `body(run, **arguments)` with these options that writes this kind of outputs."""
    epilog = "\b\nExamples:\n" + "\n".join(f"  {NAME} {example}" for example in examples)

    def decorate(body: Body) -> click.Command:
        @functools.wraps(body)
        def execute(
            outputs: tuple[Path, ...], overwrite: bool, quiet: bool, as_json: bool, **given: Any
        ) -> None:
            from quests_jax.console import show_progress
            from quests_jax.files import check_outputs
            from quests_jax.runs import Run, deliver

            typed = shlex.join([NAME, *click.get_current_context().obj])
            work = _work_in(**{name: given.pop(name) for name in SHARING if name in given})
            run = Run(typed, {name: given.pop(name) for name in PARAMETERS if name in given}, work=work)
            inputs = [given[name] for name in ("file", "test", "reference") if given.get(name)]
            inputs += given.get("files", ())
            run.check(inputs)
            check_outputs(outputs, inputs, kind=kind, overwrite=overwrite)
            _use_compilation_cache()
            with _in_company(work):
                with show_progress(quiet or run.silent):
                    report = body(run, **given)
                if not run.silent:
                    deliver(run, report, outputs, table=not (quiet or as_json), as_json=as_json)

        decorated: Callable[..., None] = execute
        for option in reversed((*options, *OUTPUT)):
            decorated = option(decorated)
        return cli.command(body.__name__.replace("_", "-"), epilog=epilog)(decorated)

    return decorate


def _work_in(
    work: Path | None = None,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> Work | None:
    """The folder to work in, after the other processes have been met; None without --work."""
    if work is None:
        if (coordinator, num_processes, process_id) != (None, None, None):
            raise InputError("several processes need a folder that all of them see; add --work FOLDER.")
        return None
    from quests_jax.large import Work, join

    alone = coordinator is None
    return Work(work) if alone else Work(work, *join(coordinator, num_processes, process_id))


def _in_company(work: Work | None) -> AbstractContextManager[None]:
    """Show and expect signs of life where several processes share a folder."""
    if work is None:
        return nullcontext()
    from quests_jax.large import watched

    return watched(work)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for bad input, 130 for an interrupt."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return cli.main(arguments, prog_name=NAME, standalone_mode=False, obj=arguments) or 0
    except click.Abort:
        return _complain("interrupted; no unfinished output is left.", INTERRUPTED)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else NAME
        return _complain(f"{error.format_message()} Try `{path} --help`.")
    except (InputError, OSError) as error:
        return _complain(str(error))


def _complain(message: str, code: int = 2) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return code


def _terminate(*_: Any) -> NoReturn:
    """Leave through every `finally`, so that unfinished files are removed."""
    sys.exit(TERMINATED)


def _use_compilation_cache() -> None:
    """Keep compiled programs from run to run, in $QUESTS_JAX_CACHE (empty: nowhere) or the user's cache."""
    import jax

    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get("QUESTS_JAX_CACHE", os.path.join(home, "quests_jax", "jit"))
    try:
        os.makedirs(folder, exist_ok=True)  # an empty name fails too
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    # XLA logs a false alarm for every CPU program that it loads (jax-ml/jax issue 38445).
    jax.config.update("jax_logging_level", "CRITICAL")


# ---- The commands ----


@command(
    FILE,
    *DESCRIPTOR,
    kind="descriptors",
    examples=("descriptors data.xyz -o data.npz", "descriptors salt.xyz --species Na,Cl -o salt.npz"),
)
def descriptors(run: Run, file: str) -> Report:
    """Descriptors of the environments of FILE.

    A .npz output can stand wherever a structure file can; a .npy output holds the matrix alone.
    """
    from quests_jax import commands

    return commands.descriptors(run, file)


@command(FILE, *KERNEL, examples=("entropy data.xyz -b 0.015 -o entropy.json",))
def entropy(run: Run, file: str) -> Report:
    """Entropy H of the environments of FILE, in nats."""
    from quests_jax import commands

    return commands.entropy(run, file)


@command(FILE, *KERNEL, examples=("diversity data.xyz",))
def diversity(run: Run, file: str) -> Report:
    """Diversity D of the environments of FILE, in nats.

    It is the logarithm of how many environments are distinct at this bandwidth.
    """
    from quests_jax import commands

    return commands.diversity(run, file)


@command(
    FILE,
    *KERNEL,
    click.option("--sample", type=int, help="Estimate from this many environments, with an interval."),
    *WORK,
    examples=(
        "metrics data.xyz --json",
        "metrics large.xyz.gz --work folder --sample 2000",
        "metrics large.xyz.gz --work folder -o metrics.json",
    ),
)
def metrics(run: Run, file: str, sample: int | None) -> Report:
    """Entropy, diversity and efficiency of FILE.

    The efficiency is the entropy in percent of its maximum, the logarithm of the number of environments.
    With --work, environments stay on disk, and what is finished is kept for the next run.
    """
    from quests_jax import commands

    return commands.metrics(run, file, sample)


@command(
    FILE,
    click.option("-r", "--reference", required=True, help="File with the data that counts as known."),
    *KERNEL,
    kind="atoms",
    examples=("delta-entropy new.xyz -r known.xyz -o new_dH.xyz -o new_dH.json",),
)
def delta_entropy(run: Run, file: str, reference: str) -> Report:
    """Delta entropy of every atom of FILE, in nats.

    Above 0 an environment is novel to the reference. Extended xyz outputs hold it as a per-atom array.
    """
    from quests_jax import commands

    return commands.delta_entropy(run, file, reference)


@command(
    click.argument("test"),
    click.argument("reference"),
    *KERNEL,
    examples=("overlap test.xyz train.xyz -o overlap.json",),
)
def overlap(run: Run, test: str, reference: str) -> Report:
    """Share of TEST that REFERENCE covers.

    An environment is covered if its delta entropy against REFERENCE is below the tolerance.
    """
    from quests_jax import commands

    return commands.overlap(run, test, reference)


@command(
    click.argument("files", nargs=-1, required=True),
    click.option("--by", help="Label of structures, such as config_type, that makes parts of a file."),
    *KERNEL,
    kind="figures",
    examples=(
        "overlap-matrix bulk.xyz surfaces.xyz liquid.xyz -o overlaps.png",
        "overlap-matrix data.xyz --by config_type -o overlaps.json -o overlaps.pdf",
    ),
)
def overlap_matrix(run: Run, files: tuple[str, ...], by: str | None) -> Report:
    """Share of each part of FILES that each other part covers, and their entropies.

    Parts are files, or the structures of a file that share a label. A row covers, a column is covered.
    """
    from quests_jax import diagnostics

    return diagnostics.overlap_matrix(run, files, by)


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
def compress(
    run: Run, file: str, size: int | float, method: str, reference: str | None, prefixes: bool
) -> Report:
    """Choose the most informative structures of FILE.

    Structures are written in order of choice, so the first n of them are the choice of size n. With --work
    and -m cover, environments stay on disk, and what is finished is kept for the next run; with
    --coordinator, several processes that see the same folder divide the work.
    """
    from quests_jax import commands

    return commands.compress(run, file, size, method, reference, prefixes)


@command(
    FILE,
    click.option(
        *("-s", "--size", "sizes"),
        multiple=True,
        default=("0.05", "0.1", "0.25", "0.5"),
        show_default=True,
        callback=_parse_sizes,
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
def compare(run: Run, file: str, sizes: list[int | float], methods: tuple[str, ...]) -> Report:
    """Compare rules of choice on FILE at several sizes.

    Overlap, ratio of the coverage to a bound that no choice can exceed, entropy H, diversity D, largest
    delta entropy, share of the force tail that is kept, and time; the outputs hold more.
    """
    from quests_jax import commands

    return commands.compare(run, file, sizes, methods)


@command(
    FILE,
    click.option(
        "-r", "--reference", help="File with the data that counts as known.  [default: FILE itself]"
    ),
    click.option(
        "-q",
        "--quantile",
        type=float,
        default=0.99,
        show_default=True,
        help="Of the reference's own delta entropies: above it, an environment is an outlier.",
    ),
    *KERNEL,
    kind="diagnosis",
    examples=(
        "outliers data.xyz -o outliers.xyz -o outliers.png",
        "outliers new.xyz -r known.xyz -q 0.999 -o outliers.json",
        "outliers data.xyz -o outliers.chemiscope.json.gz",
    ),
)
def outliers(run: Run, file: str, reference: str | None, quantile: float) -> Report:
    """Find environments of FILE that are foreign to a reference, or to the rest of FILE.

    The threshold is a quantile of what the reference says of itself: the delta entropy of each of its
    environments against all its other structures. Extended xyz outputs hold delta_entropy and outlier of
    every atom, as does a file for chemiscope, which draws a map of all environments beside the structures.
    """
    from quests_jax import diagnostics

    return diagnostics.outliers(run, file, reference, quantile)


@command(
    FILE,
    SEED,
    click.option("--sample", type=int, default=4000, show_default=True, help="Environments to look at."),
    *DESCRIPTOR,
    kind="figures",
    examples=("bandwidth data.xyz -o bandwidth.png",),
)
def bandwidth(run: Run, file: str, sample: int, seed: int) -> Report:
    """Bandwidths that fit FILE, by five rules.

    Two rules use the volume per atom only. The others use the environments: the elbow of H(h)/ln n, the
    bandwidth at which 1 % of held-out structures' environments are novel, and the largest likelihood of one
    half of the structures under the other.
    """
    from quests_jax import diagnostics

    return diagnostics.bandwidth(run, file, sample, seed)


@command(
    FILE,
    SEED,
    click.option("--repeats", type=int, default=5, show_default=True, help="Random orders."),
    *KERNEL,
    kind="figures",
    examples=("learning-curve data.xyz -o curve.png -o curve.json",),
)
def learning_curve(run: Run, file: str, repeats: int, seed: int) -> Report:
    """Entropy of growing samples of FILE, and what more data would add.

    Samples are drawn without replacement. The information gap is the limit of the fitted curve minus the
    entropy of everything.
    """
    from quests_jax import diagnostics

    return diagnostics.learning_curve(run, file, repeats, seed)


@command(
    FILE,
    click.option("-r", "--reference", help="File with the data that counts as known."),
    *KERNEL,
    kind="figures",
    examples=("trajectory md.xyz -r training.xyz -o md.png -o md.json",),
)
def trajectory(run: Run, file: str, reference: str | None) -> Report:
    """Entropy and diversity of every frame of FILE, and its novelty to a reference."""
    from quests_jax import diagnostics

    return diagnostics.trajectory(run, file, reference)


@command(
    FILE,
    click.option("-r", "--reference", help="File with the data that counts as known."),
    *KERNEL,
    kind="report",
    examples=(
        "report data.xyz -o report.html",
        "report data.xyz -r training.xyz -o report.html -o report.json",
    ),
)
def report(run: Run, file: str, reference: str | None) -> Report:
    """Write one self-contained page about FILE.

    What it holds, its entropy and learning curve, what compression keeps with the certified bound, force
    tails, and outliers with structure numbers. Open it in any browser; it needs no network.
    """
    from quests_jax import diagnostics

    return diagnostics.report(run, file, reference)


@command(
    FILE,
    click.option(
        "-r", "--reference", help="File with the data that counts as known.  [default: FILE itself]"
    ),
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
    from quests_jax import generation

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
    from quests_jax import generation

    return generation.generate(run, name, seed)
