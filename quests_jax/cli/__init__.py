"""The command line `quests-jax`: names, options and help. What the commands do is in `quests_jax.commands`.

Modules that take long to import are imported when a command runs, so that help and completion are quick.
"""

from quests_jax.cli import choices, creations, diagnoses, measures  # their commands join the group
from quests_jax.cli.shell import NAME, cli, main

__all__ = ["NAME", "choices", "cli", "creations", "diagnoses", "main", "measures"]
