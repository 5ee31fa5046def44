"""Classifiers of transformed features, their calibration, and the fitted classifier of a run.

Importing this package is light; torch is imported with the first name that is taken from it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gsmflow.heads.base import GraphHead, Head, HeadClass
    from gsmflow.heads.graph import Graph
    from gsmflow.heads.kinds import register_head
    from gsmflow.heads.likelihood import GatedHead, LikelihoodHead
    from gsmflow.heads.linear import LinearHead
    from gsmflow.heads.representation import Representation, RepresentedHead

__all__ = [
    "GatedHead",
    "Graph",
    "GraphHead",
    "Head",
    "HeadClass",
    "LikelihoodHead",
    "LinearHead",
    "Representation",
    "RepresentedHead",
    "register_head",
]

_ROOMS = {
    "base": ("GraphHead", "Head", "HeadClass"),
    "graph": ("Graph",),
    "kinds": ("register_head",),
    "likelihood": ("GatedHead", "LikelihoodHead"),
    "linear": ("LinearHead",),
    "representation": ("Representation", "RepresentedHead"),
}
_MODULES = {name: module for module, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"gsmflow.heads.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'gsmflow.heads' has no attribute '{name}'")
