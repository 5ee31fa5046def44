"""The mathematics of the method: torch modules and functions without any input or output."""

from gsmflow.flow.anchors import RelativePositioning, semantic_anchors
from gsmflow.flow.coupling import ConditionalCoupling, CouplingSubnet, soft_clamp
from gsmflow.flow.flow import ConditionalFlow, Conditions
from gsmflow.flow.gradients import WeightGradients
from gsmflow.flow.perturbation import perturb

__all__ = [
    "ConditionalCoupling",
    "ConditionalFlow",
    "Conditions",
    "CouplingSubnet",
    "RelativePositioning",
    "WeightGradients",
    "perturb",
    "semantic_anchors",
    "soft_clamp",
]
