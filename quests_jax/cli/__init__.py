"""The command line `quests-jax`: options, then read, study, deliver; nothing scientific is computed here."""

# isort: off
from quests_jax.cli import compress, compare, measures, diagnostics, report, generation  # noqa: F401  (they join)

# isort: on
from quests_jax.cli.shell import NAME, cli, main

__all__ = ["NAME", "cli", "main"]
