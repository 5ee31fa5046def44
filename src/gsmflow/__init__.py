"""Generalized zero-shot learning with a conditional affine-coupling flow (Chen et al., ACM MM 2021)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gsmflow.estimator import GSMFlowClassifier
    from gsmflow.images.backbone import register_backbone
    from gsmflow.methods import register_method
    from gsmflow.sources.source import register_source

from gsmflow.base.version import __version__

__all__ = ["GSMFlowClassifier", "__version__", "register_backbone", "register_method", "register_source"]

_DOORS = {
    "register_backbone": "gsmflow.images.backbone",
    "register_method": "gsmflow.methods",
    "register_source": "gsmflow.sources.source",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for, so that the command line answers at once."""
    if name == "GSMFlowClassifier":
        from gsmflow.estimator import GSMFlowClassifier

        return GSMFlowClassifier
    if name in _DOORS:
        from importlib import import_module

        return getattr(import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'gsmflow' has no attribute '{name}'")
