"""GSMFlow (Chen et al., ACM Multimedia 2021): the conditional flow with its three remedies.

How it works is in [`gsmflow.methods.workings.gsmflow`][gsmflow.methods.workings.gsmflow].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class GSMFlowOptions(Options):
    """Options of the method; the defaults suit pooled CNN features of a few hundred dimensions."""

    table = "gsmflow"

    epochs: int = option(100, "passes over the training features", low=1, search="10:200:log")
    least_steps: int = option(0, "least number of steps; passes are repeated until it is reached", low=0)
    batch_size: int = option(256, "training features in a step", low=1)
    learning_rate: float = option(3e-4, "Adam's, at the start", above=0, search="1e-4:1e-3:log")
    weight_decay: float = option(1e-5, "Adam's L2 term", low=0, search="1e-6:1e-2:log")
    decay_epochs: int = option(15, "epochs from one reduction of the learning rate to the next", low=1)
    decay_gamma: float = option(0.8, "factor of each reduction", above=0, high=1)
    blocks: int = option(5, "coupling blocks", low=1, search="1:5")
    hidden: int = option(1024, "hidden size of the coupling subnets", low=1, search="256,512,1024")
    global_semantic: int = option(512, "size of the global semantic vector g(a)", low=1)
    clamp: float = option(1.0, "bound c of the soft clamp on log-scales", above=0)
    perturbation: float = option(
        0.07,
        "pi, noise on scaled training features; 0 switches visual perturbation off",
        low=0,
        search="0:0.5",
    )
    perturbation_dropout: float = option(
        0.0, "fraction of the noise's entries that are dropped", low=0, below=1
    )
    prototype_weight: float = option(
        3.0, "lambda; 0 switches the prototype loss off", low=0, search="0.1:30:log"
    )
    prototype_classes: int = option(
        0, "seen classes of which each step computes the prototype loss, drawn anew each time; 0: all", low=0
    )
    relative_positioning: bool = option(True, "describe semantics by their offsets to three anchors")
    semantics_in_every_layer: bool = option(
        True, "give semantics to every coupling block, not just to the one next to the noise"
    )
    anchors_from: str = option("seen", "classes the anchors are chosen from", choices=("seen", "all"))
    residual: bool = option(
        False,
        "subtract class means, regressed on semantics, from the features before training; they are added to "
        "synthesized features",
        search="on,off",
    )
    ridge: float = option(-1.0, "exponent of the regularizer of that regression", low=-12, high=12)
    precision: str = option(
        "auto",
        "dtype of matrix products; auto: bfloat16 where the hardware has it and the flow is large enough to gain, 8 "
        "bits for features that are stored in 8 bits",
        choices=("auto", "float32", "bfloat16"),
    )


@dataclass(frozen=True)
class TransductiveOptions(GSMFlowOptions):
    """Options of GSMFlow, and of learning from unlabelled features of unseen classes."""

    transductive: bool = option(
        False,
        "use unlabelled features of unseen classes, as --transductive does: the transductive setting",
    )
    unlabelled_weight: float = option(
        0.3, "weight of the likelihood of unlabelled features under the mixture of unseen classes", above=0
    )
    unlabelled_batch: int = option(32, "unlabelled features in a step, each under every unseen class", low=1)
    unlabelled_from: float = option(
        0.5, "fraction of the training after which unlabelled features are used", low=0, below=1
    )


PARTS = {
    "without semantics in every layer": ("semantics_in_every_layer=off",),
    "without perturbation": ("perturbation=0",),
    "without relative positioning": ("relative_positioning=off",),
    "without prototype loss": ("prototype_weight=0",),
    "only the flow": (
        "semantics_in_every_layer=off",
        "perturbation=0",
        "relative_positioning=off",
        "prototype_weight=0",
    ),
}


METHOD = Method(
    name="gsmflow",
    citation="Chen et al., Mitigating Generation Shifts for Generalized Zero-Shot Learning, ACM MM 2021",
    options=TransductiveOptions,
    learner=later("gsmflow.methods.workings.transductive_gsmflow:learner"),
    parts=PARTS,
    divisible=True,
    kind="trained generator",
    speed="1 to 4 minutes",
    when="the method of the paper; the one to start with if time does not matter",
)
