"""What may be known of unseen classes, as an option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import click

from gsmflow.cli.options import PresetOptions

_transductive = click.option(
    "--transductive",
    is_flag=True,
    help="Look at features of the unseen classes' test samples in training, without their labels: another setting, "
    "labelled so everywhere; for gsmflow, f-vaegan-d2 and tf-vaegan.",
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
