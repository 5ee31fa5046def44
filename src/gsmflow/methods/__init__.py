"""The methods: one file each, one interface, one line in the registry below.

A method is either *generative* (it trains a generator by steps, and a head is trained on what it
synthesizes) or *direct* (it gives a linear head at once).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gsmflow.errors import InputError
from gsmflow.options import Options

if TYPE_CHECKING:
    from gsmflow.head import LinearHead
    from gsmflow.training import Learner, TrainingData

_MODULES = {
    "gsmflow": "gsmflow.methods.gsmflow",
    "eszsl": "gsmflow.methods.eszsl",
}


@dataclass(frozen=True)
class Method:
    """What a method's module exposes as ``METHOD``.

    options: its option dataclass. citation: whom to credit. Exactly one of:
    learner: (data, options, seed) -> a :class:`~gsmflow.training.Learner`;
    direct: (data, options) -> (parameters tried, head) pairs, the default first, for the protocol
    to choose among.
    """

    name: str
    citation: str
    options: type[Options]
    learner: Callable[[TrainingData, Any, int], Learner] | None = None
    direct: Callable[[TrainingData, Any], Iterable[tuple[dict[str, float], LinearHead]]] | None = None


def method_names() -> list[str]:
    """Names of all methods."""
    return list(_MODULES)


def find_method(name: str, origin: str = "method") -> Method:
    """The method of that name.

    Raises
    ------
    InputError: there is none.
    """
    if name not in _MODULES:
        near = difflib.get_close_matches(name, _MODULES, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(_MODULES)}"
        raise InputError(f"{origin}: no method '{name}'; {hint}")
    return import_module(_MODULES[name]).METHOD
