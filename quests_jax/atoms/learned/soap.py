"""Smooth overlaps of atomic positions, which need no model."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np

from quests_jax.atoms.learned.protocol import Descriptor, missing
from quests_jax.base.checks import InputError

SOAP = {"r_cut": 5.0, "n_max": 8, "l_max": 4, "sigma": 0.5}


def soap_descriptor(settings: dict[str, str]) -> Descriptor:
    """Power spectrum of smooth overlaps of atomic positions [bartok:13], through `dscribe`.

    Settings are species (such as Si+O, the same for all data that are compared), r_cut in Å, n_max, l_max and
    sigma in Å.
    """
    if unknown := settings.keys() - SOAP.keys() - {"species"}:
        raise InputError(f"soap: {min(unknown)} is no setting; known are species, {', '.join(SOAP)}.")
    if "species" not in settings:
        raise InputError("soap: say which elements there are, as soap:species=Si+O,r_cut=5.")
    try:
        from dscribe.descriptors import SOAP as Soap  # pyright: ignore[reportMissingImports]
    except ImportError as reason:
        raise missing("dscribe", "pip install dscribe")(reason) from None
    try:
        numbers = {name: type(value)(settings.get(name, value)) for name, value in SOAP.items()}
    except ValueError as reason:
        raise InputError(f"soap: {reason}.") from None
    species = settings["species"].split("+")
    engines = {periodic: Soap(species=species, periodic=periodic, **numbers) for periodic in (False, True)}

    def describe(structures: Sequence[ase.Atoms]) -> Sequence[np.ndarray]:
        return [np.atleast_2d(engines[bool(atoms.pbc.any())].create(atoms)) for atoms in structures]

    name = ",".join(f"{key}={value}" for key, value in sorted((settings | numbers).items()))
    return Descriptor(f"soap:{name}", describe, kept=True)
