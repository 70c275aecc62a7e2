"""The group `quests-jax`, what every one of its commands does before and after, and how a run ends."""

from __future__ import annotations

import dataclasses
import functools
import os
import shlex
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate

import click

from quests_jax.base import signals
from quests_jax.base.checks import InputError
from quests_jax.base.precision import double_precision
from quests_jax.base.terminal_text import spell_on_terminals
from quests_jax.cli.bandwidth_choice import AUTO
from quests_jax.cli.file_arguments import Inputs
from quests_jax.cli.help_layout import Grouped, Spelled
from quests_jax.cli.options import OUTPUT

if TYPE_CHECKING:
    from quests_jax.cli.run_and_report import Report, Run
    from quests_jax.disk import Work

    Body = Callable[Concatenate[Run, ...], Report]  # the run, then the options by name

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

NAME = "quests-jax"
PARAMETERS = ("k", "cutoff", "elements", "species", "descriptor", "scale", "bandwidth")
SHARING = ("work", "scheduler")
FOUND = 1  # exit code of a check that found what it looks for
APART = ("rest", "combined")  # options that name a file of structures to write
DEBUG = "--debug"
TROUBLE = "this should not happen; run it again with --debug and report what it prints"


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from quests_jax.output.terminal import version_text

        print(version_text())
        context.exit()


@click.group(cls=Grouped, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show versions, backend and devices.",
)
@click.option("--debug", is_flag=True, expose_value=False, hidden=True)  # of commands; known before them too
def cli() -> None:
    """Information and set cover for data sets of atomistic structures.

    FILE is anything ASE reads, a .npz or .npy file of descriptors, bundled:silicon, the data set that comes
    with the package, or a published one, downloaded when it is first named, as gap20:Diamond, tm23:Cu_cold,
    rmd17:ethanol, 3bpa:train_300K, mlearn:Si_test or colabfit:ID. A .npz file holds x, descriptors [n, d],
    structure_id [n], and elements [n] if they are to be told apart. Several files, folders and 'patterns*' in
    quotes are one data set; FILE@::10 is every tenth structure, - is standard input. An output is written in
    the format of its suffix.
    """


def command(
    *options: Option, kind: str = "numbers", examples: Sequence[str], notes: Sequence[str] = ()
) -> Callable[[Body], click.Command]:
    """Make a subcommand of `body(run, **arguments)` with these options that writes this kind of outputs."""
    epilog = "\b\nExamples:\n" + "\n".join(f"  {NAME} {example}" for example in examples)
    if notes:
        epilog = "\b\n" + "\n".join(notes) + "\n\n" + epilog

    def decorate(body: Body) -> click.Command:
        @functools.wraps(body)
        def execute(
            outputs: tuple[Path, ...],
            overwrite: bool,
            drop_unsupported: bool,
            quiet: bool,
            as_json: bool,
            **given: Any,
        ) -> int:
            from quests_jax.cli.delivery import deliver
            from quests_jax.cli.run_and_report import Run, Writing
            from quests_jax.output.files import check_outputs
            from quests_jax.output.terminal import show_progress

            typed = shlex.join([NAME, *click.get_current_context().obj])
            sharing = {name: given.pop(name) for name in SHARING if name in given}
            parameters = {name: given.pop(name) for name in PARAMETERS if name in given}
            if parameters.get("descriptor") is not None and _is_default("bandwidth"):
                parameters["bandwidth"] = AUTO  # the default is that of our own descriptors
            writing = Writing(outputs, given.get("files") or given.get("file"), kind, drop_unsupported)
            inputs = [
                file.path for value in given.values() if isinstance(value, Inputs) for file in value.files
            ]
            check_outputs(outputs, inputs, kind=kind, overwrite=overwrite)
            for path in filter(None, map(given.get, APART)):
                check_outputs([path], [*inputs, *map(str, outputs)], kind="structures", overwrite=overwrite)
                writing = writing._replace(outputs=(*writing.outputs, path))
            run = Run(typed, parameters, writing=writing, usual_bandwidth=_is_default("bandwidth"))
            run.check()
            with _kept_programs(), _work_in(**sharing) as work, show_progress(quiet):
                report = body(dataclasses.replace(run, work=work), **given)
            deliver(run, report, outputs, table=not (quiet or as_json), as_json=as_json)
            return FOUND if report.failed else 0

        decorated: Callable[..., int] = execute
        for option in reversed((*options, *OUTPUT)):
            decorated = option(decorated)
        return cli.command(body.__name__.replace("_", "-"), cls=Spelled, epilog=epilog)(decorated)

    return decorate


def _is_default(name: str) -> bool:
    """Whether nobody typed this option of the command that runs."""
    return click.get_current_context().get_parameter_source(name) is click.core.ParameterSource.DEFAULT


@contextmanager
def _work_in(work: Path | None = None, scheduler: str | None = None) -> Iterator[Work | None]:
    """The folder to work in, with whoever works there; None without --work."""
    if work is None:
        if scheduler is not None:
            raise InputError("workers of a cluster need a folder that all of them see; add --work FOLDER.")
        yield None
        return
    from quests_jax.disk import Work, on_cluster

    if scheduler is None:
        yield Work(work.absolute())
        return
    with on_cluster(scheduler) as run:
        yield Work(work.absolute(), run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code is 0, 1 (a check failed), 2 (an error), 130 or 143 (a signal).

    >>> main("entropy bundled:silicon@:4 -k 8 -c 4 -o entropy.json --quiet".split())
    0
    """
    is_process = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    spell_on_terminals()
    usual = warnings.formatwarning
    warnings.formatwarning = functools.partial(_one_line, usual)
    try:
        with signals.answered():
            code = _call(arguments)
            signals.check()
        return code
    except signals.Ended as ended:
        if is_process:
            signals.leave(ended.number)
        return _complain(signals.WORDS[ended.number], signals.CODES[ended.number])
    finally:
        warnings.formatwarning = usual


def _call(arguments: list[str]) -> int:
    """The exit code of a command; whatever goes wrong is one line, with its traceback under --debug."""
    debug = DEBUG in arguments
    try:
        with double_precision(), _without_log():
            return cli.main(arguments, prog_name=NAME, standalone_mode=False, obj=arguments) or 0
    except click.Abort:
        return _complain(signals.WORDS[signals.signal.SIGINT], signals.CODES[signals.signal.SIGINT])
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else NAME
        return _complain(f"{error.format_message()} Try `{path} --help`.")
    except BrokenPipeError:  # whoever reads stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        expected = isinstance(error, (InputError, OSError, ImportError))
        reason = str(error) if expected else f"{type(error).__name__}: {str(error)[:500]}; {TROUBLE}."
        return _complain(reason or type(error).__name__)


def _one_line(usual: Callable[..., str], message: Warning | str, category: type, *where: Any) -> str:
    """Format our warnings without file and line."""
    return f"warning: {message}\n" if category is UserWarning else usual(message, category, *where)


def _complain(message: str, code: int = 2) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return code


@contextmanager
def _without_log() -> Iterator[None]:
    """Leave out JAX's log while a command runs: XLA raises a false alarm for every CPU program that it loads.

    See jax-ml/jax issue 38445.
    """
    import jax

    before = jax.config.jax_logging_level  # pyright: ignore[reportAttributeAccessIssue]
    jax.config.update("jax_logging_level", "CRITICAL")
    try:
        yield
    finally:
        jax.config.update("jax_logging_level", before)


def _kept_programs() -> AbstractContextManager[None]:
    """Keep compiled programs from run to run, in $QUESTS_JAX_CACHE (empty: nowhere) or the user's cache."""
    import jax

    from quests_jax.base.compiled_programs import kept_in

    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get("QUESTS_JAX_CACHE", os.path.join(home, "quests_jax", "programs"))
    try:
        os.makedirs(folder, exist_ok=True)  # an empty name fails too
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return nullcontext()
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return kept_in(folder)
