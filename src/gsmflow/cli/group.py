"""The group of all commands. Its help lists them in the order of use, in whole sentences. Names may have two words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
from click.shell_completion import CompletionItem


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
        """All names, in the order of use."""
        listed = [name for names in self.sections.values() for name in names]
        return [*listed, *(name for name in self.commands if name not in listed)]

    def named(self, arguments: Sequence[str]) -> str:
        """The name of the command that these words begin with, the longest that fits; empty if there is none."""
        for name in (" ".join(arguments[:2]), *arguments[:1]):
            if name in self.commands:
                return name
        return ""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that words begin with, and the words after it."""
        name = self.named(args)
        if " " in name:
            return name, self.commands[name], args[2:]
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The completions of click, without names of two words, which a shell would take for two commands."""
        return [item for item in super().shell_complete(ctx, incomplete) if " " not in item.value]

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
