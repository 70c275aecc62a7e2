"""What a working folder holds, how large it is, and what of it nobody needs any more."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quests_jax.base.checks import InputError
from quests_jax.base.jax_versions import versions
from quests_jax.base.wording import agreeing, counted
from quests_jax.disk.checksummed_arrays import Damaged, verify
from quests_jax.disk.working_folder import LAYOUT, digest, manifest_of

Manifest = dict[str, Any]

UNFINISHED = ".unfinished-"
STAGE = re.compile(r"[a-z-]+-[0-9a-f]{12}")


class Item(NamedTuple):
    """A stage of a working folder."""

    folder: Path
    stage: str  # its name
    data: str  # names of the files that it is made from
    results: int
    size: int  # bytes
    stale: str  # why nobody needs it any more; "" if it is of use


def inventory(folder: Path, *, thorough: bool = False) -> list[Item]:
    """All stages of a working folder, by name; with `thorough`, every checksum is checked.

    A stage is stale if its manifest is damaged, if another version of the package made it, or if a file that
    it is made from is gone or has changed.

    Raises `InputError` for a folder in which nobody has worked.

    >>> from pathlib import Path
    >>> from quests_jax.disk.working_folder import Work
    >>> Work(Path("work")).stage("squares", {}).keep({"square": [0, 1, 4]})
    >>> [(item.stage, item.results, item.stale) for item in inventory(Path("work"))]
    [('squares', 1, '')]
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder.")
    stages = {path: manifest_of(path) for path in sorted(folder.iterdir()) if _is_stage(path)}
    if not stages:
        raise InputError(f"{folder}: holds no results; give a folder that --work was given.")
    files = dict(_files(stages))
    return [_item(path, about, files, thorough) for path, about in stages.items()]


def remove(items: Sequence[Item]) -> None:
    """Remove stages from the disk."""
    for item in items:
        shutil.rmtree(item.folder)


def remove_unfinished(folder: Path) -> int:
    """Remove what runs that were killed left unfinished; nobody may work in the folder meanwhile.

    Returns how many files there were.
    """
    left = [path for path in folder.glob(f"*/{UNFINISHED}*") if path.is_file()]
    for path in left:
        path.unlink()
    return len(left)


def _is_stage(path: Path) -> bool:
    return path.is_dir() and STAGE.fullmatch(path.name) is not None


def _files(stages: dict[Path, Manifest | None]) -> Iterator[tuple[str, tuple[str, str]]]:
    """For every data set, and the content of every file in one, its names and what is wrong with it."""
    checked: dict[tuple[str, str], str] = {}
    for path, about in stages.items():
        if about is None or about["stage"] != "data":
            continue
        whole, names = "", []
        for (content, name, _), where in zip(
            about["parameters"]["files"], about["noted"]["paths"], strict=True
        ):
            if (content, where) not in checked:
                checked[content, where] = _change(Path(where), content)
            change = checked[content, where]
            yield content, (name, change)
            whole, names = whole or change, [*names, name]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield path.name, (f"{names[0]}{more}", whole)


def _change(path: Path, content: str) -> str:
    if not path.is_file():
        return f"{path} is gone"
    return "" if digest(path) == content else f"{path} has changed"


def _item(path: Path, about: Manifest | None, files: dict[str, tuple[str, str]], thorough: bool) -> Item:
    results = sorted(path.glob("*.arrays"))
    size = sum(each.stat().st_size for each in path.iterdir() if each.is_file())
    if about is None:
        name = path.name.rpartition("-")[0]
        return Item(path, name, "", len(results), size, "its manifest is damaged")
    parameters, version = about["parameters"], about["versions"]["quests_jax"]
    of = path.name if about["stage"] == "data" else parameters.get("data") or parameters.get("content")
    data, stale = ("", "") if of is None else files.get(of, ("", "nobody knows its files"))
    if version != versions()["quests_jax"] or about["layout"] != LAYOUT:
        stale = f"made by version {version}"
    if thorough and (damaged := sum(not _is_whole(result) for result in results)):
        stale = stale or f"{counted(damaged, 'result')} {agreeing(damaged, 'is', 'are')} damaged"
    return Item(path, about["stage"], data, len(results), size, stale)


def _is_whole(result: Path) -> bool:
    try:
        return verify(result) == f"{result.parent.name}/{int(result.stem)}"
    except (Damaged, OSError, ValueError):
        return False
