"""TF-VAEGAN (Narayan et al., ECCV 2020): f-VAEGAN-D2 with a semantic decoder, feedback, and both used to classify.

How it works is in [`gsmflow.methods.workings.tf_vaegan`][gsmflow.methods.workings.tf_vaegan].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.f_vaegan_d2 import D2Options
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class TFVAEGANOptions(D2Options):
    """Options of f-VAEGAN-D2, and of the decoder and the feedback."""

    table = "tf-vaegan"

    cycle_weight: float = option(1.0, "beta, weight of the semantic cycle", low=0)
    feedback: float = option(1.0, "delta, strength of the feedback", low=0)


METHOD = Method(
    name="tf-vaegan",
    citation="Narayan et al., Latent embedding feedback and discriminative features for zero-shot "
    "classification, ECCV 2020",
    options=TFVAEGANOptions,
    learner=later("gsmflow.methods.workings.tf_vaegan:TFVAEGANLearner"),
    kind="trained generator",
    speed="2 to 8 minutes",
    when="the strongest of the GANs here, and the second slowest",
)
