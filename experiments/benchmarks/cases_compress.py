"""The whole command: `compress` on a real training set, and how its time grows with a data set."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ase import Atoms
from inputs import rattled
from measuring import Contender, Record, Sample, interleave, make_record, process
from peer import Peer
from setting import Setting

KINDS = {
    "msc": ("-m", "msc"),
    "msc, no certificate": ("-m", "msc", "--certify", "none"),
    "cover": ("-m", "cover"),
}
QUESTS = "quests msc"
SHARE = "0.1"
GROWTH_SHARE = "0.05"
GROWTH = (30_000, 60_000, 125_000, 250_000, 500_000)  # environments
MOST_OF_QUESTS = 125_000  # environments; its time grows with their square
SMALL = 40  # most atoms of a structure in the growing set


def compress(setting: Setting) -> Iterator[Record]:
    """`quests-jax compress FILE -s 0.1` on the pool, with each rule; and QUESTS' compress."""
    file = setting.save_structures(setting.inputs.pool.name, setting.inputs.pool.structures)
    kinds = ("cover",) if setting.smoke else KINDS
    contenders = {kind: partial(_run, setting, file, SHARE, KINDS[kind]) for kind in kinds}
    if setting.peer is not None:
        contenders[QUESTS] = partial(_theirs, setting, setting.peer, file, SHARE)
    samples = interleave(contenders, 1)
    pairs = [(QUESTS, kind) for kind in KINDS]
    n = sum(map(len, setting.inputs.pool.structures))
    yield make_record("compress", setting.inputs.pool.name, samples, pairs, n=n, size=SHARE)


def growth(setting: Setting) -> Iterator[Record]:
    """`quests-jax compress FILE -s 0.05` on 30,000 to 500,000 environments in small structures; and QUESTS'.

    With `--sizes` on as many as they say, so that a figure may come about in several runs.
    """
    kinds = ("cover",) if setting.smoke else ("msc", "cover")
    for n in setting.growth or GROWTH:
        name = f"small structures, {n}"
        file = setting.save_structures(name, small_structures(setting.inputs.pool.structures, n))
        contenders: dict[str, Contender] = {
            kind: partial(_run, setting, file, GROWTH_SHARE, KINDS[kind]) for kind in kinds
        }
        if setting.peer is not None and n <= MOST_OF_QUESTS:
            contenders[QUESTS] = partial(_theirs, setting, setting.peer, file, GROWTH_SHARE)
        yield make_record("growth", "small structures", interleave(contenders, 1), [], n=n, size=GROWTH_SHARE)
        Path(file).unlink()


def small_structures(structures: list[Atoms], n: int) -> list[Atoms]:
    """Small structures of about n atoms in all: those there are, as they are once more, then with noise."""
    small = [atoms for atoms in structures if len(atoms) <= SMALL] or structures
    found, atoms = [], 0
    for number in range(n):
        repeat, place = divmod(number, len(small))
        found.append(small[place] if repeat < 2 else rattled(small[place], repeat))
        atoms += len(found[-1])
        if atoms >= n:
            break
    return found


def _run(setting: Setting, file: str, size: str, options: tuple[str, ...]) -> Sample:
    out = str(setting.folder / "ours.xyz")
    command = [sys.executable, "-m", "quests_jax", "compress", file, "-s", size, *options, "-o", out]
    return process([*command, "--overwrite"], **setting.programs)


def _theirs(setting: Setting, peer: Peer, file: str, size: str) -> Sample:
    """QUESTS' command, which ends without an error where its output is there already."""
    out = setting.folder / "theirs.xyz"
    out.unlink(missing_ok=True)
    command = [peer.python, "-m", "quests.cli.quests", "compress", file, "-s", size, "-o", str(out)]
    sample = process(command)
    if not out.exists():
        raise RuntimeError(f"{' '.join(command)} wrote nothing.")
    return sample
