"""Options in groups: a command receives one object for each group.

A group is a dataclass whose fields are options of the command line. `grouped` gives a command their options
and hands it the filled objects::

    @click.command()
    @grouped(data=DataOptions, preset=PresetOptions)
    def train(data: DataOptions, preset: PresetOptions) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, get_type_hints

import click


def grouped(**groups: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of each group to a command. The command receives one object for each group, under its name.

    Parameters
    ----------
    groups : type
        Dataclasses, each field of which is annotated with its type and with what declares it to click.
    """
    declared = {
        name: {
            field: hint.__metadata__[0] for field, hint in get_type_hints(group, include_extras=True).items()
        }
        for name, group in groups.items()
    }

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def collected(**given: Any) -> Any:
            filled = {
                name: group(**{field: given.pop(field) for field in declared[name]})
                for name, group in groups.items()
            }
            return command(**given, **filled)

        for declare in reversed([each for fields in declared.values() for each in fields.values()]):
            collected = declare(collected)
        return collected

    return decorate


def flags_of(command: click.Command | None) -> dict[str, str]:
    """The options of a command by the names of the library's parameters."""
    declared = command.params if command else []
    return {
        each.name: max(each.opts, key=len)
        for each in declared
        if isinstance(each, click.Option) and each.name
    }
