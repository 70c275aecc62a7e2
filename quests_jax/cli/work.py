"""The command that looks after a working folder."""

from __future__ import annotations

from pathlib import Path

import click

from quests_jax.base.wording import counted
from quests_jax.cli.main_command import command
from quests_jax.cli.run_and_report import Report, Run
from quests_jax.disk.inventory import inventory, remove, remove_unfinished

MEGABYTE = 1e6


@command(
    click.argument("folder", type=Path),
    click.option(
        "--remove",
        "removed",
        type=click.Choice(["stale", "all"]),
        help="Remove what nobody needs any more, or everything. Nobody may work there meanwhile.",
    ),
    click.option("--check", is_flag=True, help="Check every result, which reads all of them."),
    examples=("work folder", "work folder --check", "work folder --remove stale"),
)
def work(run: Run, folder: Path, removed: str | None, check: bool) -> Report:
    """What a folder of --work holds, how large it is, and what of it is stale.

    A stage is stale if the files it is made from are gone or have changed, if another version made it, or if
    it is damaged. Damaged results need no care: the next run makes them again.
    """
    with run.stage("checking"):
        items = inventory(folder, thorough=check)
    stale = [item for item in items if item.stale]
    going = {"stale": stale, "all": items, None: []}[removed]
    remove(going)
    unfinished = remove_unfinished(folder) if removed is not None else 0
    rows = [(item.stage, item.results, item.size / MEGABYTE, item.data, item.stale) for item in items]
    total = sum(item.size for item in items)
    data = {"folder": str(folder), "bytes": total, "removed": [item.folder.name for item in going]}
    data |= {"stages": [item._asdict() | {"folder": item.folder.name} for item in items]}
    if removed is None:
        advice = [f"{counted(len(items), 'stage')}, {total / MEGABYTE:,.1f} MB."]
        if stale:
            size = sum(item.size for item in stale) / MEGABYTE
            advice.append(
                f"{size:,.1f} MB are stale; to remove them: quests-jax work {folder} --remove stale"
            )
    else:
        size = sum(item.size for item in going) / MEGABYTE
        stages, files = counted(len(going), "stage"), counted(unfinished, "unfinished file")
        advice = [f"Removed {stages}, {size:,.1f} MB, and {files}."]
    return Report(data, rows, ("stage", "results", "MB", "of", "stale because"), advice=advice)
