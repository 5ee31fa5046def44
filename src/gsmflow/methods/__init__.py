"""The methods: one file each, one interface, one line in the registry below.

A method is either *direct* (it gives linear heads at once, in closed form) or it has a *learner*, trained by
steps: a [`Generator`][gsmflow.learning.learner.Generator] synthesizes what a head is then trained on, a
[`Scorer`][gsmflow.learning.learner.Scorer] classifies by itself.
"""

from __future__ import annotations

import difflib
from importlib import import_module

from gsmflow.base.errors import InputError
from gsmflow.methods.method import Method

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


def method_names() -> list[str]:
    """Names of all methods."""
    return list(_MODULES)


def find_method(name: str, origin: str = "method") -> Method:
    """The method of that name.

    Raises
    ------
    InputError
        There is none.
    """
    if name not in _MODULES:
        near = difflib.get_close_matches(name, _MODULES, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(_MODULES)}"
        raise InputError(f"{origin}: no method '{name}'; {hint}")
    return import_module(f"gsmflow.methods.{_MODULES[name]}").METHOD
