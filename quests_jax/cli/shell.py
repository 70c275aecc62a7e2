"""The group `quests-jax`, what every one of its commands does before and after, and how a run ends."""

from __future__ import annotations

import functools
import os
import shlex
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from quests_jax.base.checks import InputError
from quests_jax.cli.inputs import Inputs
from quests_jax.cli.options import OUTPUT

if TYPE_CHECKING:
    from quests_jax.cli.run import Report
    from quests_jax.disk import Work

Body = Callable[..., "Report"]
Option = Callable[[Callable[..., Any]], Callable[..., Any]]

NAME = "quests-jax"
PARAMETERS = ("k", "cutoff", "species", "bandwidth")
SHARING = ("work", "coordinator", "num_processes", "process_id")
INTERRUPTED, TERMINATED = 130, 143  # exit codes: 128 + the number of the signal


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from quests_jax.output.terminal import version_text

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
            from quests_jax.cli.run import Run, deliver
            from quests_jax.output.files import check_outputs
            from quests_jax.output.terminal import show_progress

            typed = shlex.join([NAME, *click.get_current_context().obj])
            work = _work_in(**{name: given.pop(name) for name in SHARING if name in given})
            run = Run(typed, {name: given.pop(name) for name in PARAMETERS if name in given}, work=work)
            run.check()
            inputs = [
                file.path for value in given.values() if isinstance(value, Inputs) for file in value.files
            ]
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
    from quests_jax.disk import Work, join

    if coordinator is None:
        return Work(work)
    _keep_stdout()
    return Work(work, *join(coordinator, num_processes, process_id))


def _keep_stdout() -> None:
    """Leave stdout to results, from now on; what network libraries say there goes to stderr."""
    if sys.stdout is None or sys.stderr is None:
        return
    sys.stdout.flush()
    results = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(results, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)


def _in_company(work: Work | None) -> AbstractContextManager[None]:
    """Show and expect signs of life where several processes share a folder."""
    if work is None:
        return nullcontext()
    from quests_jax.disk import watched

    return watched(work)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for bad input, 130 for an interrupt."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    signal.signal(signal.SIGTERM, _terminate)
    usual = warnings.formatwarning
    warnings.formatwarning = functools.partial(_one_line, usual)
    try:
        return cli.main(arguments, prog_name=NAME, standalone_mode=False, obj=arguments) or 0
    except click.Abort:
        return _complain("interrupted; no unfinished output is left.", INTERRUPTED)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else NAME
        return _complain(f"{error.format_message()} Try `{path} --help`.")
    except (InputError, OSError) as error:
        return _complain(str(error))
    finally:
        warnings.formatwarning = usual


def _one_line(usual: Callable[..., str], message: Warning | str, category: type, *where: Any) -> str:
    """What we warn of, without the place in our source."""
    return f"warning: {message}\n" if category is UserWarning else usual(message, category, *where)


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
