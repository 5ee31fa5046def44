"""DeViSE (Frome et al., NIPS 2013): a bilinear map trained by the sum of the hinges of all wrong classes.

How it works is in [`gsmflow.methods.workings.compatibility`][gsmflow.methods.workings.compatibility].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import option
from gsmflow.methods.compatibility import CompatibilityOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class DeViSEOptions(CompatibilityOptions):
    """The options of all bilinear ranking methods, with the margin of the paper and a learning rate to match."""

    table = "devise"

    learning_rate: float = option(
        0.3, "learning rate, for features and semantics of length 1", above=0, search="0.01:3:log"
    )
    margin: float = option(0.1, "by how much the right class has to score above the others", above=0)


METHOD = Method(
    name="devise",
    citation="Frome et al., DeViSE: a deep visual-semantic embedding model, NIPS 2013",
    options=DeViSEOptions,
    learner=later("gsmflow.methods.workings.compatibility:devise"),
    kind="classifier by itself",
    speed="seconds",
    when="a bilinear map trained against all wrong classes alike",
)
