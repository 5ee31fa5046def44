"""SJE (Akata et al., CVPR 2015): a bilinear map trained by the hinge of the strongest wrong class.

How it works is in [`gsmflow.methods.workings.compatibility`][gsmflow.methods.workings.compatibility].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.methods.compatibility import CompatibilityOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class SJEOptions(CompatibilityOptions):
    """The options of all bilinear ranking methods."""

    table = "sje"


METHOD = Method(
    name="sje",
    citation="Akata et al., Evaluation of output embeddings for fine-grained image classification, CVPR 2015",
    options=SJEOptions,
    learner=later("gsmflow.methods.workings.compatibility:sje"),
    kind="classifier by itself",
    speed="seconds",
    when="a bilinear map trained on the strongest wrong class alone",
)
