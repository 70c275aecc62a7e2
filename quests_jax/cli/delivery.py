"""What a command found becomes files, each whole or not at all, and a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from quests_jax.atoms.formats import structure_suffix
from quests_jax.atoms.writing import whole_file, write
from quests_jax.base.checks import InputError
from quests_jax.base.jax_versions import versions
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.output.chemiscope_files import SUFFIX as VIEWER_SUFFIX
from quests_jax.output.files import DRAWN_SUFFIXES, to_json, write_descriptors, write_json, write_sheet


def deliver(run: Run, report: Report, outputs: Sequence[Path], *, table: bool, as_json: bool) -> None:
    """Write every output, each whole or not at all, then print."""
    data = {"command": run.command} | report.data | run.stated()
    seconds = run.seconds | {"total": round(time.perf_counter() - run.started, 3)}
    data |= {"seconds": seconds, "versions": versions(), "warnings": run.warnings, "advice": report.advice}
    if run.automatic:
        data["bandwidth_auto"] = run.automatic[0]._asdict()
    failed = {}
    paths = [*outputs, *report.apart]
    empty = [path for path in paths if _set_of(run, report, path) == []]
    for path in (path for path in paths if path not in empty):
        try:
            _write(run, report, data, path)
        except Exception as error:  # whatever the writer of a format raises: the others are written
            failed[path] = error
    if as_json:
        print(to_json(data), end="")
    if table:
        from quests_jax.output.terminal import print_advice, print_table  # rich is slow to import

        print_table(report.header, report.rows, run.caption())
        print_advice(report.advice)
        written = [f"wrote {path}" for path in paths if path not in (*failed, *empty)]
        written += [f"nothing to write to {path}" for path in empty]
        print(*written, sep="\n", end="\n" if written else "")
    if failed:
        raise InputError(" ".join(map(_failure, failed, failed.values()))) from next(iter(failed.values()))


def _write(run: Run, report: Report, data: dict[str, Any], path: Path) -> None:
    """Write one output, whole or not at all."""
    suffix = path.suffix.lower()
    if path.name.lower().endswith(VIEWER_SUFFIX) or suffix in DRAWN_SUFFIXES:
        show = report.view if suffix == ".gz" else report.draw
        if show is None:
            raise InputError(f"{path}: there is nothing to draw of these data.")
        with whole_file(path) as unfinished:
            show(unfinished)
    elif suffix == ".json":
        write_json(path, data)
    elif suffix == ".csv":
        write_sheet(path, report.sheet)
    elif report.envs is not None:
        write_descriptors(path, report.envs, {} if run.anonymous else run.parameters)
    else:
        structures = _set_of(run, report, path)
        write(
            path,
            report.structures if structures is None else structures,
            drop_unsupported=run.writing.drop_unsupported,
        )


def _set_of(run: Run, report: Report, path: Path) -> list[Atoms] | None:
    """The structures for an output: the n-th file of structures gets the n-th set; None for other outputs."""
    if path in report.apart or not report.sets:
        return list(report.apart[path]) if path in report.apart else None
    files = [each for each in run.writing.outputs if structure_suffix(each) is not None]
    if path not in files:
        return None
    if files.index(path) >= len(report.sets):
        raise InputError(f"{path}: is one file too many; this command writes {len(report.sets)}.")
    return list(report.sets[files.index(path)])


def _failure(path: Path, error: Exception) -> str:
    """One sentence about an output that was not written."""
    if isinstance(error, InputError) and str(path) in str(error):
        return str(error)
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{path}: not written ({' '.join(reason.split())[:300]}); other outputs are."
