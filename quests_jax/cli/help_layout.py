"""How help is laid out: commands by job, options by what they are about, on terminals of any encoding."""

from __future__ import annotations

import sys

import click

from quests_jax.base.terminal_text import spelled

JOBS = {  # commands by job, the usual one first
    "Look at a data set": (
        "inspect",
        "report",
        "clean",
        "metrics",
        "outliers",
        "bandwidth",
        "learning-curve",
    ),
    "Choose structures": ("compress", "compare", "replay", "split"),
    "Compare data sets": ("overlap", "leakage", "trajectory", "delta-entropy", "overlap-matrix"),
    "Make structures and descriptors": ("augment", "generate", "descriptors"),
    "Single measures": ("entropy", "diversity"),
    "Data past memory": ("work",),
}
ABOUT = {  # names of options by what they are about; the others come first
    "Descriptor and kernel": ("k", "cutoff", "species", "elements", "descriptor", "bandwidth"),
    "Outputs": ("outputs", "overwrite", "drop_unsupported", "quiet", "as_json", "debug", "help"),
    "Data past memory, clusters": ("work", "scheduler"),
}


class Spelled(click.Command):
    """A command whose help can be read on any terminal, options by what they are about."""

    def get_help(self, ctx: click.Context) -> str:
        """The help page."""
        return spelled(super().get_help(ctx), sys.stdout)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write options in groups."""
        rest = {name for names in ABOUT.values() for name in names}
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        groups = {"Options": [option for option in options if option.name not in rest]} | {
            title: [option for option in options if option.name in names] for title, names in ABOUT.items()
        }
        for title, params in groups.items():
            records = [record for param in params if (record := param.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Grouped(Spelled, click.Group):
    """The group of all commands, by job."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write commands, then the options of the group."""
        self.format_commands(ctx, formatter)
        records = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(records)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write commands by job; one that no job names comes last."""
        named = {name for names in JOBS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in named)
        for title, names in (JOBS | {"Others": others}).items():
            known = [name for name in names if name in self.commands]
            if known:
                with formatter.section(title):
                    formatter.write_dl(
                        [(name, self.commands[name].get_short_help_str(100)) for name in known]
                    )
