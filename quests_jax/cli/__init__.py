"""The command line `quests-jax`: options, then read, study, deliver; nothing scientific is computed here."""

# isort: off
from quests_jax.cli import (
    inspect,
    compress,
    compare,
    replay,
    clean,
    split,
    information,
    trajectory,
    diagnostics,
)  # noqa: F401
from quests_jax.cli import report, generation, work  # noqa: F401  (modules join the group when they are imported)

# isort: on
from quests_jax.cli.command_group import NAME, cli, main

__all__ = ["NAME", "cli", "main"]
