"""The command that puts everything about a data set on one page."""

from __future__ import annotations

from pathlib import Path

import click

from quests_jax.base.checks import InputError
from quests_jax.base.versions import versions
from quests_jax.cli.inputs import Inputs
from quests_jax.cli.options import FILES, KERNEL, REFERENCE_HELP, parse_inputs
from quests_jax.cli.run import Report, Run
from quests_jax.cli.shell import command
