"""Whole processes, from start to exit: the command line, and reading and describing many files."""

from __future__ import annotations

import gzip
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from measuring import Contender, Record, Sample, interleave, make_record, process
from setting import Setting

import quests_jax as qj

COLD, WARM, QUESTS = "quests-jax, empty cache", "quests-jax, filled cache", "quests"
READING, QUESTS_READING = "quests_jax from .xyz.gz", "quests from .xyz"

READ = "import sys, quests_jax as qj; qj.get_descriptors([s for file in sys.argv[1:] for s in qj.read(file)])"
QUESTS_READ = (
    "import sys; from ase.io import read; from quests.descriptor import get_descriptors; "
    "get_descriptors([s for file in sys.argv[1:] for s in read(file, ':')])"
)


def command_line(setting: Setting) -> Iterator[Record]:
    """`quests-jax entropy FILE`, without and (but for --smoke) with compiled programs from an earlier run."""
    data = setting.inputs.cover
    file = setting.save_structures(data.name, data.structures)
    command = [sys.executable, "-m", "quests_jax", "entropy", file]
    contenders: dict[str, Contender] = {COLD: partial(_emptied, setting, command)}
    if not setting.smoke:
        contenders[WARM] = partial(process, command, **setting.programs)
    if setting.peer is not None:
        theirs = partial(process, [setting.peer.python, "-m", "quests.cli.quests", "entropy", file])
        theirs()  # fills the cache of numba
        contenders[QUESTS] = theirs
    samples = interleave(contenders, setting.rounds)
    facts = {"n": len(data.x), "command": "entropy"}
    yield make_record("command line", data.name, samples, [(QUESTS, COLD), (QUESTS, WARM)], **facts)


def reading(setting: Setting) -> Iterator[Record]:
    """Read files and describe all environments in a fresh process; QUESTS gets them decompressed."""
    files = setting.inputs.files
    if setting.smoke:
        files = [setting.folder / "few.xyz.gz"]
        qj.write(files[0], setting.inputs.cover.structures)
    contenders: dict[str, Contender] = {
        READING: partial(process, [sys.executable, "-c", READ, *map(str, files)])
    }
    if setting.peer is not None:
        plain = [str(_decompressed(file, setting.folder)) for file in files]
        contenders[QUESTS_READING] = partial(process, [setting.peer.python, "-c", QUESTS_READ, *plain])
    samples = interleave(contenders, setting.rounds)
    pairs = [(QUESTS_READING, READING)]
    yield make_record("reading and descriptors", setting.inputs.pool.name, samples, pairs, files=len(files))


def _emptied(setting: Setting, command: list[str]) -> Sample:
    programs = setting.programs
    for cache in programs.values():
        shutil.rmtree(cache, ignore_errors=True)
    return process(command, **programs)


def _decompressed(file: Path, folder: Path) -> Path:
    plain = folder / f"plain_{file.stem}"
    with gzip.open(file) as source, open(plain, "wb") as target:
        shutil.copyfileobj(source, target)
    return plain
