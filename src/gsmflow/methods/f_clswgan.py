"""f-CLSWGAN (Xian et al., CVPR 2018): a conditional WGAN-GP whose features a classifier has to recognise.

How it works is in [`gsmflow.methods.workings.f_clswgan`][gsmflow.methods.workings.f_clswgan].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.adversarial import AdversarialOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class CLSWGANOptions(AdversarialOptions):
    """Options of all adversarial methods, and of the classifier."""

    table = "f-clswgan"

    classification_weight: float = option(0.01, "beta, weight of the classification loss", low=0)
    classifier_epochs: int = option(20, "passes in the training of the classifier", low=1)
    classifier_learning_rate: float = option(0.005, "Adam's, of the classifier", above=0)


METHOD = Method(
    name="f-clswgan",
    citation="Xian et al., Feature generating networks for zero-shot learning, CVPR 2018",
    options=CLSWGANOptions,
    learner=later("gsmflow.methods.workings.f_clswgan:CLSWGANLearner"),
    kind="trained generator",
    speed="2 to 4 minutes",
    when="a GAN that papers compare with",
)
