"""What was typed, as the next command takes it: files, reference and options."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click
from click.core import ParameterSource

from quests_jax.cli.file_arguments import Inputs

Place = tuple[str, int]  # file, and number of the structure in it

DESCRIPTION = ("k", "cutoff", "elements", "species", "descriptor", "scale")  # what next commands need
AGAIN = (*DESCRIPTION, "bandwidth")
FEW = 3  # files that are typed again


def typed(inputs: Inputs, *, reference: Inputs | None = None, options: Sequence[str] = AGAIN) -> str:
    """The files as they were typed, with the reference and those of `options` that were given."""
    words = [shlex.join(inputs.words) if len(inputs.words) <= FEW else "FILE..."]
    if reference is not None:
        words.append(known_again(reference))
    return " ".join([*words, *_given(options)])


def known_again(reference: Inputs) -> str:
    """The option of the reference, as it can be typed again."""
    return " ".join(f"-r {shlex.quote(word)}" for word in reference.words)


def _given(options: Sequence[str]) -> list[str]:
    """Those of the options that were given on the command line, as they can be typed again."""
    context = click.get_current_context(silent=True)
    given: list[str] = []
    if context is None:
        return given
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in options and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            value = context.params[name]
            for each in value if isinstance(value, tuple) else (value,):
                given += [min(parameter.opts, key=len), shlex.quote(_as_word(each))]
    return given


def _as_word(value: object) -> str:
    """A value of an option as one word of a command line."""
    if isinstance(value, list):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
