"""ALE (Akata et al., PAMI 2016): a bilinear map trained by a weighted approximate ranking loss.

How it works is in [`gsmflow.methods.workings.compatibility`][gsmflow.methods.workings.compatibility].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.methods.compatibility import CompatibilityOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class ALEOptions(CompatibilityOptions):
    """The options of all bilinear ranking methods."""

    table = "ale"


METHOD = Method(
    name="ale",
    citation="Akata et al., Label-embedding for image classification, PAMI 2016",
    options=ALEOptions,
    learner=later("gsmflow.methods.workings.compatibility:ale"),
    kind="classifier by itself",
    speed="seconds",
    when="a bilinear map trained to rank, the most often reported of its kind",
)
