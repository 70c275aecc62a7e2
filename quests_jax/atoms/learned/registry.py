"""Descriptors by what a person types: the one place where a word stands for an adapter."""

from __future__ import annotations

from pathlib import Path

from quests_jax.atoms.learned.protocol import Descriptor
from quests_jax.base.checks import InputError

FORMS = "array:KEY, FILE.npz, nequix:FILE.nqx, mace:FILE, soap:species=Si+O,..."


def find_descriptor(text: str) -> Descriptor:
    """The descriptor that a text stands for; raises `InputError` with the forms that exist.

    `array:KEY` is a per-atom array of the structures, `FILE.npz` or `.npy` a file of rows, `nequix:FILE` the
    scalars of the last layer (`nequix:FILE:all` of all), `mace:FILE` those of MACE, `soap:...` those of SOAP.
    """
    kind, _, rest = text.partition(":")
    if text.endswith((".npz", ".npy")):
        from quests_jax.atoms.learned.stored_rows import file_descriptor

        return file_descriptor(Path(text))
    if kind == "array" and rest:
        from quests_jax.atoms.learned.stored_rows import array_descriptor

        return array_descriptor(rest)
    if kind == "nequix" and rest:
        from quests_jax.atoms.learned.nequix import nequix_descriptor

        file, every, _ = rest.partition(":all")
        return nequix_descriptor(Path(file), layers="all" if every else "last")
    if kind == "mace" and rest:
        from quests_jax.atoms.learned.mace import mace_descriptor

        return mace_descriptor(Path(rest))
    if kind == "soap":
        from quests_jax.atoms.learned.soap import soap_descriptor

        pairs = (part.partition("=") for part in rest.split(",") if part)
        return soap_descriptor({name: value for name, _, value in pairs})
    raise InputError(f"descriptor {text!r} is not known; give one of {FORMS}.")
