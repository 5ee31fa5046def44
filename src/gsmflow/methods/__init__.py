"""The methods: one file each, one interface, one line in the registry below.

A method is either *direct* (it gives linear heads at once, in closed form) or it has a *learner*, trained by
steps: a :class:`~gsmflow.training.Generator` synthesizes what a head is then trained on, a
:class:`~gsmflow.training.Scorer` classifies by itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gsmflow.errors import InputError
from gsmflow.options import Options

if TYPE_CHECKING:
    from gsmflow.head import Head
    from gsmflow.training import Learner, TrainingData

_MODULES = {
    "gsmflow": "gsmflow",
    "gsmflow-tmm": "gsmflow_tmm",
    "cflow": "cflow",
    "likelihood": "likelihood",
    "likelihood-gate": "likelihood_gate",
    "cvae": "cvae",
    "f-clswgan": "f_clswgan",
    "f-vaegan-d2": "f_vaegan_d2",
    "tf-vaegan": "tf_vaegan",
    "cada-vae": "cada_vae",
    "ce-gzsl": "ce_gzsl",
    "izf": "izf",
    "cnzsl": "cnzsl",
    "lda": "lda",
    "eszsl": "eszsl",
    "kernel-eszsl": "kernel_eszsl",
}


@dataclass(frozen=True)
class Method:
    """What a method's module exposes as ``METHOD``.

    options: its option dataclass. citation: whom to credit. fixed: options that make the method what it is
    and cannot be set. inherits: another method, whose table in a preset serves this one too where it says
    nothing itself. rebuild: as learner, where trained weights are at hand and a learner would prepare its
    training for nothing. Exactly one of:
    learner: (data, options, seed) -> a :class:`~gsmflow.training.Learner`;
    direct: (data, options) -> (parameters tried, head) pairs, the default first, for the protocol
    to choose among.
    """

    name: str
    citation: str
    options: type[Options]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    inherits: str = ""
    learner: Callable[[TrainingData, Any, int], Learner] | None = None
    rebuild: Callable[[TrainingData, Any, int], Learner] | None = None
    direct: Callable[[TrainingData, Any], Iterable[tuple[dict[str, float], Head]]] | None = None


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
    return import_module(f"gsmflow.methods.{_MODULES[name]}").METHOD
