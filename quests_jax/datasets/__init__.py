"""Data sets: the bundled silicon, simulated analogues of published sets, and where those are found."""

from __future__ import annotations

from ase import Atoms

from quests_jax.atoms.reading import read
from quests_jax.base.checks import InputError
from quests_jax.datasets import carbon, metals, silicon
from quests_jax.datasets.published import SOURCES, load_published
from quests_jax.datasets.silicon import bundled, stillinger_weber
from quests_jax.datasets.simulation import DECIMALS, Dynamics, Potential, Progress, Recipe, Sweep, simulate

SIMULATED: dict[str, tuple[Recipe, Potential]] = {
    "silicon": (silicon.RECIPE, silicon.POTENTIAL),
    "carbon": (carbon.RECIPE, carbon.POTENTIAL),
    "metals": (metals.RECIPE, metals.POTENTIAL),
}


BUNDLED = "bundled:silicon"


def is_named(file: str) -> bool:
    """Whether `file` names a data set, such as bundled:silicon or gap20:Diamond, rather than a path.

    >>> is_named("gap20:Diamond"), is_named("data.xyz")
    (True, False)
    """
    return file == BUNDLED or file.partition(":")[0] in SOURCES


def load(name: str) -> list[Atoms]:
    """Structures of the bundled data set, or of a part of a published one (see `load_published`).

    >>> len(load("bundled:silicon"))
    181
    """
    return read(bundled()) if name == BUNDLED else load_published(name)


def generate(name: str = "silicon", *, seed: int = 0, progress: Progress | None = None) -> list[Atoms]:
    """Simulate one of the data sets in `SIMULATED`, each of which takes about a minute on two cores.

    Args:
        name: silicon (as bundled), carbon (after GAP-20) or metals (after TM23).
        seed: random seed of the dynamics.
        progress: called as `progress(config_type, done, total)`, in structures, whenever one is done.

    Returns:
        Structures with energies, forces and `info["config_type"]`, see `simulate`.

    Raises:
        InputError: if there is no recipe of this name.

    >>> structures = generate("silicon", seed=1)  # doctest: +SKIP
    >>> generate("gold")
    Traceback (most recent call last):
    quests_jax.base.checks.InputError: no recipe for 'gold'; choose one of silicon, carbon, metals.
    """
    if name not in SIMULATED:
        raise InputError(f"no recipe for {name!r}; choose one of {', '.join(SIMULATED)}.")
    recipe, potential = SIMULATED[name]
    return simulate(recipe, potential, seed=seed, progress=progress)


__all__ = [
    "BUNDLED",
    "DECIMALS",
    "SIMULATED",
    "SOURCES",
    "Dynamics",
    "Potential",
    "Sweep",
    "bundled",
    "generate",
    "is_named",
    "load",
    "load_published",
    "simulate",
    "stillinger_weber",
]
