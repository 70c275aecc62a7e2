"""The command line `quests-jax`: names, options and help. What they do is in `commands`.

Modules that take long to import are imported when a command runs, so that help and completion are quick.
"""

# isort: off
from quests_jax.cli import measures, choices, diagnoses, creations  # noqa: F401  (their commands join the group)

# isort: on
from quests_jax.cli.shell import NAME, cli, main

__all__ = ["NAME", "cli", "main"]
