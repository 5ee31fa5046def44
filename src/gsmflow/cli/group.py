"""The group of all commands: its help has whole sentences, in the order of the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click


class Commands(click.Group):
    """A group whose help lists commands under headings.

    Parameters
    ----------
    sections : Mapping[str, Sequence[click.Command]]
        Heading to commands, in the order of the work.
    """

    def __init__(self, sections: Mapping[str, Sequence[click.Command]] | None = None, **settings) -> None:
        super().__init__(**settings)
        self.sections: dict[str, list[str]] = {}
        for heading, commands in (sections or {}).items():
            self.sections[heading] = [command.name or "" for command in commands]
            for command in commands:
                self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the work."""
        listed = [name for names in self.sections.values() for name in names]
        return [*listed, *(name for name in self.commands if name not in listed)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each heading with its commands and the first sentence of each one's help, which is never cut."""
        for heading, names in self.sections.items():
            rows = [(name, summary(self.commands[name])) for name in names if not self.commands[name].hidden]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


def summary(command: click.Command) -> str:
    """The first paragraph of a command's help on one line."""
    return " ".join((command.help or "").split("\n\n")[0].split())
