"""Options of a training that stand for overrides: what may be known of unseen classes, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import click

from gsmflow.cli.options import PresetOptions

_transductive = click.option(
    "--transductive",
    is_flag=True,
    help="Also train on the test samples of unseen classes, without their labels. That is another setting, and results "
    "are marked so. For gsmflow, f-vaegan-d2 and tf-vaegan.",
)


@dataclass(frozen=True)
class SettingOptions(PresetOptions):
    """Where the options of a training come from, and in which setting it is."""

    transductive: Annotated[bool, _transductive]

    def of(self, method: str) -> tuple[str, ...]:
        """The overrides for a method, --transductive among them.

        Raises
        ------
        InputError
            The method has no transductive setting.
        """
        from gsmflow.recipes.recipe import transductive_override

        return (*self.overrides, transductive_override(method)) if self.transductive else self.overrides


_budget = click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Time for method auto: what would take longer is left out.  [default: no bound]",
)


@dataclass(frozen=True)
class BudgetOptions(SettingOptions):
    """The same, and how long a method that combines others may take."""

    budget: Annotated[float | None, _budget]

    def of(self, method: str) -> tuple[str, ...]:
        """The overrides for a method, --transductive and --budget among them.

        Raises
        ------
        InputError
            The method has no transductive setting, or no budget.
        """
        from gsmflow.recipes.recipe import own_override

        overrides = super().of(method)
        if self.budget is None:
            return overrides
        return (*overrides, own_override(method, "budget", f"{self.budget:g}", "budget"))
