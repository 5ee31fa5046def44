"""Generalized zero-shot learning with a conditional affine-coupling flow (Chen et al., ACM MM 2021)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gsmflow.data.problem import Problem
    from gsmflow.estimator import GSMFlowClassifier, ZeroShotClassifier, load, train
    from gsmflow.images.backbone import register_backbone
    from gsmflow.methods import register_method
    from gsmflow.sources.source import register_source

from gsmflow.base.version import __version__

__all__ = [
    "GSMFlowClassifier",
    "Problem",
    "ZeroShotClassifier",
    "__version__",
    "load",
    "register_backbone",
    "register_method",
    "register_source",
    "train",
]

_HOMES = {
    "GSMFlowClassifier": "gsmflow.estimator",
    "Problem": "gsmflow.data.problem",
    "ZeroShotClassifier": "gsmflow.estimator",
    "load": "gsmflow.estimator",
    "register_backbone": "gsmflow.images.backbone",
    "register_method": "gsmflow.methods",
    "register_source": "gsmflow.sources.source",
    "train": "gsmflow.estimator",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for, so that the command line answers at once."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gsmflow' has no attribute '{name}'")


def __dir__() -> list[str]:
    """What can be imported from here."""
    return sorted(__all__)
