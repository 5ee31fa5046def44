"""CE-GZSL (Han et al., CVPR 2021): a conditional WGAN-GP and an embedding learned with it by contrastive losses.

How it works is in [`gsmflow.methods.workings.ce_gzsl`][gsmflow.methods.workings.ce_gzsl].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.adversarial import AdversarialOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class CEGZSLOptions(AdversarialOptions):
    """Options of all adversarial methods, and of the embedding."""

    table = "ce-gzsl"

    embedding: int = option(512, "dimensions of h", low=1)
    projection: int = option(128, "dimensions of z in the instance contrast", low=1)
    comparator_hidden: int = option(128, "hidden size of the comparator", low=1)
    temperature: float = option(0.1, "tau, of both contrasts", above=0)
    contrast_weight: float = option(0.001, "w, weight of both contrastive losses for the generator", low=0)


METHOD = Method(
    name="ce-gzsl",
    citation="Han et al., Contrastive embedding for generalized zero-shot learning, CVPR 2021",
    options=CEGZSLOptions,
    learner=later("gsmflow.methods.workings.ce_gzsl:CEGZSLLearner"),
    kind="trained generator",
    speed="3 to 6 minutes",
    when="a GAN whose head works on an embedding learned by contrastive losses",
)
