"""f-VAEGAN-D2 (Xian et al., CVPR 2019): the decoder of a conditional VAE is the generator of a WGAN-GP.

How it works is in [`gsmflow.methods.workings.f_vaegan_d2`][gsmflow.methods.workings.f_vaegan_d2].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.adversarial import AdversarialOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class VAEGANOptions(AdversarialOptions):
    """Options of all adversarial methods, and the weight of the adversarial loss."""

    table = "f-vaegan-d2"

    adversarial_weight: float = option(10.0, "gamma, of the generator's adversarial loss", low=0)


@dataclass(frozen=True)
class D2Options(VAEGANOptions):
    """Options of f-VAEGAN-D2 in the inductive and in the transductive setting."""

    transductive: bool = option(
        False,
        "use unlabelled features of unseen classes, as --transductive does: the transductive setting",
    )
    unseen_weight: float = option(1.0, "weight of the second critic in the generator's loss", low=0)
    unseen_from: float = option(
        0.5, "fraction of the training after which the second critic is used", low=0, below=1
    )


METHOD = Method(
    name="f-vaegan-d2",
    citation="Xian et al., f-VAEGAN-D2: a feature generating framework for any-shot learning, CVPR 2019",
    options=D2Options,
    learner=later("gsmflow.methods.workings.f_vaegan_d2:VAEGANLearner"),
    kind="trained generator",
    speed="1 to 3 minutes",
    when="a GAN that papers compare with, steadier than f-clswgan",
)
