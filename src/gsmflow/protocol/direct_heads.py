"""The heads of a direct method for a choice."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from gsmflow.base.errors import InputError
from gsmflow.heads.base import Head
from gsmflow.heads.factored import FactoredHead
from gsmflow.heads.sum import weighted_sum
from gsmflow.protocol.choice import Choice
from gsmflow.protocol.prepared import Prepared
from gsmflow.recipes.recipe import Recipe


def direct_head(prepared: Prepared, recipe: Recipe, choice: Choice | None) -> Head:
    """The head with the chosen parameters, or the mean of several heads; without a choice the default, the first.

    Raises
    ------
    ValueError
        The method tries no such parameters.
    """
    if choice is None or not choice.averaged:
        return _head_at(prepared, recipe, choice.parameters if choice else None)
    heads = [_head_at(prepared, recipe, parameters) for parameters in (choice.parameters, *choice.averaged)]
    return weighted_sum(heads, [1 / (len(heads) * prepared.spread(head)) for head in heads])


def _head_at(prepared: Prepared, recipe: Recipe, wanted: Mapping[str, float] | None) -> Head:
    """The head with these parameters; without parameters the first one."""
    method, options = recipe.method, recipe.options
    assert method.direct is not None
    if method.at and wanted is not None:
        # There is no such option, or the value is out of range: then the method does not try it either.
        with suppress(TypeError, InputError):
            options = method.at(options, wanted)
    for parameters, head in method.direct(prepared.data, options):
        if wanted is None or parameters == wanted:
            return head.linear() if isinstance(head, FactoredHead) else head
    raise ValueError(f"method '{method.name}' tries no parameters {'any' if wanted is None else wanted}")
