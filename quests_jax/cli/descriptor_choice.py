"""Which descriptor a command uses, its parameters in words, and what is said about elements."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from quests_jax.atoms.describe import environments
from quests_jax.atoms.element_channels import CENTER, IGNORE, NEIGHBORS, numbers_of
from quests_jax.atoms.learned import SCALES, Scaling, find_descriptor, fit_scaling
from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.cli.bandwidth_choice import own_in_words

OF_QUESTS = ("k", "cutoff", "elements", "species")  # parameters that our own descriptors depend on
OF_DESCRIPTORS = (*OF_QUESTS, "descriptor", "scale")  # and all that any depend on
TOLD = {
    IGNORE: "elements ignored",
    CENTER: "elements: told apart by center",
    NEIGHBORS: "elements: told apart by center and neighbors",
}

OF_ELEMENTS = "bandwidth_by_element"

Parameters = dict[str, Any]


def check_made_with(file: str, made_with: Parameters, parameters: Parameters) -> None:
    """Raise `InputError` where descriptors of a file were made with other parameters than those in force."""
    for name in made_with.keys() & set(OF_DESCRIPTORS):
        value = as_typed(made_with[name])
        if name not in parameters and made_with[name] not in (None, IGNORE, SCALES[0]):
            raise InputError(
                f"{file}: made with {name} {value}, which this command cannot take into account; make "
                "descriptors with --elements ignore for it."
            )
        if name in parameters and made_with[name] != parameters[name]:
            raise InputError(f"{file}: made with {name} {value}; add --{name} {value}.")


def settle(parameters: Parameters) -> None:
    """Set parameters that mean nothing beside the others to None; raise `InputError` if one was asked for."""
    if parameters.get("descriptor") is not None:
        if parameters["species"] is not None:
            raise InputError("--species is of our own descriptor; leave it out, or --descriptor.")
        parameters.update(dict.fromkeys(("k", "cutoff")))
    elif parameters.get("scale") is not None:
        if parameters["scale"] != SCALES[0]:
            raise InputError("--scale is of --descriptor; our own descriptors have one scale.")
        parameters["scale"] = None


def described(
    structures: Sequence[Atoms], parameters: Parameters, scalings: list[Scaling | None]
) -> Environments:
    """Environments by the descriptor that was asked for, on the scale of the data that came first."""
    if parameters.get("descriptor") is None:
        return environments(
            structures, **{name: parameters[name] for name in OF_QUESTS if name in parameters}
        )
    found = find_descriptor(parameters["descriptor"])
    envs = environments(structures, elements=parameters["elements"], descriptor=found)
    if not scalings:
        scalings.append(fit_scaling(np.asarray(envs.x), parameters["scale"]))
    scaling = scalings[0]
    return envs if scaling is None else dataclasses.replace(envs, x=scaling.apply(np.asarray(envs.x)))


def note_elements(name: str, structures: Sequence[Atoms], parameters: Parameters) -> None:
    """Say on stderr that elements are ignored, which --species leaves out, and which it names in vain."""
    present = [chemical_symbols[Z] for Z in np.unique(numbers_of(structures))]
    species = parameters.get("species") or ()
    if parameters.get("elements") == IGNORE and len(present) > 1:
        text = f"the elements {', '.join(present)} are not told apart; --elements {CENTER} or {NEIGHBORS}"
        warnings.warn(f"{text} does that.", stacklevel=2)
    left_out = {*present} - {*species} if species else set()
    absent = {*species} - {*present}
    for words, symbols in (
        ("holds elements that --species leaves out", left_out),
        ("lacks elements that --species names", absent),
    ):
        if symbols:
            warnings.warn(f"{name} {words}: {', '.join(sorted(symbols))}.", stacklevel=2)


def in_words(parameters: Parameters, *, ours: bool) -> str:
    """The parameters that mean something, as a caption; our descriptors are in Å⁻¹."""
    units = {"cutoff": " Å"} | ({"bandwidth": " Å⁻¹"} if ours else {})
    units["bandwidth"] = units.get("bandwidth", "") + own_in_words(parameters.get(OF_ELEMENTS))
    return ", ".join(
        TOLD[value] if name == "elements" else f"{name} {as_typed(value)}{units.get(name, '')}"
        for name, value in parameters.items()
        if value is not None and name != OF_ELEMENTS
    )


def as_typed(value: Any) -> str:
    """A parameter as it is typed."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return ",".join(value) if isinstance(value, list) else f"{value:g}"
