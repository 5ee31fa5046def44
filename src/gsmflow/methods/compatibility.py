"""What ALE, DeViSE and SJE share: a bilinear map trained by a ranking loss.

How they work is in [`gsmflow.methods.workings.compatibility`][gsmflow.methods.workings.compatibility].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option


@dataclass(frozen=True)
class CompatibilityOptions(Options):
    """Stochastic gradient descent and the margin."""

    epochs: int = option(50, "passes over the training features", low=1, search="10:200:log")
    batch_size: int = option(64, "training features in a step", low=1)
    learning_rate: float = option(
        3.0, "learning rate, for features and semantics of length 1", above=0, search="0.1:30:log"
    )
    weight_decay: float = option(0.0, "L2 term of the map", low=0, below=1)
    margin: float = option(1.0, "by how much the right class has to score above the others", above=0)
