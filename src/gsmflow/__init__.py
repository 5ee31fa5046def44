"""Generalized zero-shot learning with a conditional affine-coupling flow (Chen et al., ACM MM 2021)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gsmflow.estimator import GSMFlowClassifier

from gsmflow.base.version import __version__

__all__ = ["GSMFlowClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for, so that the command line answers at once."""
    if name == "GSMFlowClassifier":
        from gsmflow.estimator import GSMFlowClassifier

        return GSMFlowClassifier
    raise AttributeError(f"module 'gsmflow' has no attribute '{name}'")
