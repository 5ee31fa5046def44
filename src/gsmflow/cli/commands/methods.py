"""``gsmflow methods``: all methods, the papers to cite, and every option."""

from __future__ import annotations

import json
from dataclasses import fields

import click

from gsmflow.cli import options
from gsmflow.cli.saying import say


@click.command()
@click.argument("name", required=False)
@options.as_json
def methods(name: str | None, as_json: bool) -> None:
    """List the methods with kind, speed and use. With NAME: all options of that method and their defaults."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from gsmflow.methods import METHODS, find_method

    chosen = [find_method(name)] if name else list(METHODS.each())
    if as_json:
        listed = [
            {
                "name": m.name,
                "kind": m.kind,
                "speed": m.speed,
                "when": m.when,
                "citation": m.citation,
                "options": m.options().as_dict() | {k: v for k, v in m.fixed.items() if "." not in k},
            }
            for m in chosen
        ]
        click.echo(json.dumps({"methods": listed}))
        return
    table = Table(box=box.SIMPLE_HEAD)
    console = Console(markup=False)
    if not name:
        for column in ("method", "kind, time of a run, when to use it"):
            table.add_column(column)
        for method in chosen:
            facts = ", ".join(fact for fact in (method.kind, method.speed) if fact)
            table.add_row(
                method.name, "\n".join(line for line in (facts or method.citation, method.when) if line)
            )
        console.print(table)
        note = "A run is a validated one on two cores, with some thousand features of a thousand dimensions."
        say(f"{note} `gsmflow methods NAME` tells paper and options.", err=False)
        return
    method = chosen[0]
    say(f"{method.name}: {method.citation}", err=False)
    if method.kind:
        say(f"{method.kind}; {method.speed}; {method.when}", err=False)
    for column in ("option", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for field in fields(method.options):  # type: ignore[arg-type]
        default = method.fixed.get(field.name, field.default)
        fixed = " (always)" if field.name in method.fixed else ""
        table.add_row(f"{method.options.table}.{field.name}", f"{default}{fixed}", field.metadata["help"])
    for key, value in method.fixed.items():
        if "." in key:
            table.add_row(key, f"{value} (always)", "")
    console.print(table)
