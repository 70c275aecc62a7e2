"""How far positions, a size and a bandwidth travel in `quests-jax compress` until structures are selected.

    PYTHONPATH=. python tests/hops.py        # in a clone of any version

Counts functions of the package that are called with what carries the positions (structures, neighbors,
environments), with a size and with a bandwidth, each function once, and how often one module hands over to
another, until the first rule returns its selection. Then how often structures, sizes and bandwidths are
checked.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import ase.io
from ase import Atoms
from ase.build import bulk

CARRIERS = ("Atoms", "Environments", "Pairs", "Vectors", "Given", "Pool", "Data")
CHECKS = {
    "structures checked": ("validate",),
    "sizes resolved": ("check_size", "of"),
    "bandwidths checked": ("check_positive",),
}


class Hops:
    """What has been called so far."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.visited: dict[str, list[tuple[str, str]]] = {"positions": [], "size": [], "bandwidth": []}
        self.checks = dict.fromkeys(CHECKS, 0)
        self.done = False

    def __call__(self, frame: FrameType, event: str, result: Any) -> None:
        code = frame.f_code
        if self.done or not code.co_filename.startswith(self.folder) or code.co_name.startswith("<"):
            return
        if event == "return":
            self.done = type(result).__name__ == "Selection"
        elif event == "call":
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            given = {name: frame.f_locals.get(name) for name in names}
            self.visit(code.co_filename, code.co_name, given)

    def visit(self, file: str, function: str, given: dict[str, Any]) -> None:
        """Count a call."""
        place = (Path(file).relative_to(self.folder).as_posix(), function)
        carried = {
            "positions": any(carries(value) for value in given.values()),
            # in the folders left out, size is that of an array
            "size": ("size" in given and not place[0].startswith(("atoms/", "information/")))
            or any(type(value).__name__ == "Size" for value in given.values()),
            "bandwidth": "bandwidth" in given,
        }
        for what, here in carried.items():
            if here and place not in self.visited[what]:
                self.visited[what].append(place)
        for what, names in CHECKS.items():
            self.checks[what] += function in names and is_about(function, given)


def is_about(function: str, given: dict[str, Any]) -> bool:
    """Whether a call of one of `CHECKS` is about structures, a size or a bandwidth, not something else."""
    if function == "of":
        return type(given.get("self")).__name__ == "Size"
    return given.get("name", "bandwidth") == "bandwidth"


def carries(value: Any) -> bool:
    """Whether positions are in this, or in the first thing that it holds."""
    if type(value).__name__ in CARRIERS:
        return True
    return isinstance(value, (list, tuple)) and len(value) > 0 and isinstance(value[0], Atoms)


def count() -> Hops:
    """Run the command on a small file and watch."""
    import quests_jax
    from quests_jax.cli import main

    hops = Hops(str(Path(quests_jax.__file__).parent))
    with tempfile.TemporaryDirectory() as folder:
        structures = [bulk("Cu", cubic=True) for _ in range(6)]
        for number, atoms in enumerate(structures):
            atoms.rattle(0.05, seed=number)
        path = Path(folder) / "data.xyz"
        ase.io.write(path, structures)
        threading.setprofile(hops)
        sys.setprofile(hops)
        try:
            main(["compress", str(path), "-s", "2", "-b", "0.02", "--quiet"])
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # pyright: ignore[reportArgumentType]
    return hops


if __name__ == "__main__":
    found = count()
    for what, places in found.visited.items():
        modules = [module for module, _ in places]
        changes = sum(a != b for a, b in zip(modules, modules[1:], strict=False))
        print(f"{what}: {len(places)} functions, {len(set(modules))} modules, {changes} changes of module")
        if "--list" in sys.argv:
            print(*(f"    {module}: {function}" for module, function in places), sep="\n")
    for what, number in found.checks.items():
        print(f"{what}: {number} times")
