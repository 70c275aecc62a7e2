"""The command line `quests-jax`: options, then read, study, deliver; nothing scientific is computed here."""

# isort: off
# Modules join the group when they are imported.
from quests_jax.cli import inspect, compress, compare, replay, clean, split, information  # noqa: F401
from quests_jax.cli import trajectory, diagnostics, overlap_matrix, report, generation, work  # noqa: F401

# isort: on
from quests_jax.cli.main_command import NAME, cli, main

__all__ = ["NAME", "cli", "main"]
