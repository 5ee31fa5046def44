"""Options of the softmax head; what they do is in [`gsmflow.learning.softmax`][gsmflow.learning.softmax]."""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.errors import InputError
from gsmflow.base.options import Options, option


@dataclass(frozen=True)
class HeadOptions(Options):
    """How many features are synthesized and how the softmax head is trained on them."""

    table = "head"

    synthetic_per_class: int = option(
        300, "features synthesized for each unseen class", low=1, search="100:2000:log"
    )
    learning_rate: float = option(
        0.002, "learning rate of Adam with beta = (0.5, 0.999)", above=0, search="1e-3:2e-2:log"
    )
    epochs: int = option(30, "passes over real and synthetic features", low=1)
    batch_size: int = option(256, "features in a step", low=1)
    calibrate: bool = option(
        False,
        "add one bias to the unseen classes' logits, chosen on the validation problem (calibrated stacking, "
        "Chao et al. 2016); without a validation problem no bias is added",
    )
    kind: str = option(
        "linear", "linear: W x + b; cosine: scale * cos(W_c, x), without a bias", choices=("linear", "cosine")
    )
    scale: float = option(20.0, "scale of a cosine head's logits", above=0)
    loss: str = option(
        "frequency",
        "frequency: every feature counts the same; balanced: every class does",
        choices=("frequency", "balanced"),
    )
    sets: int = option(
        1,
        "independent sets of synthetic features: a head is trained on each, and their logits are averaged",
        low=1,
    )
    logit_adjustment: float = option(
        0.0, "tau: how much of the log frequency of classes is added to the logits while training", low=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sets > 1 and self.kind == "cosine":
            raise InputError(
                f"head.sets = {self.sets}: only linear heads have a mean; choose head.kind=linear or head.sets=1"
            )
