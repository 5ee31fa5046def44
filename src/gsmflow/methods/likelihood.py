"""GSMFlow's flow as a classifier: log p(x | class) of every class, no synthesis and no head.

How it works is in [`gsmflow.methods.workings.likelihood`][gsmflow.methods.workings.likelihood].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.methods.gsmflow import PARTS, GSMFlowOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class LikelihoodOptions(GSMFlowOptions):
    """The options of GSMFlow."""

    table = "likelihood"


METHOD = Method(
    name="likelihood",
    citation="the flow of Chen et al. (ACM MM 2021) with Bayes' rule",
    options=LikelihoodOptions,
    inherits="gsmflow",
    fixed={"residual": False},
    parts=PARTS,
    divisible=True,
    learner=later("gsmflow.methods.workings.likelihood:learner"),
    kind="classifier by itself",
    speed="2 to 6 minutes",
    when="log-likelihoods instead of a softmax; good for features of few dimensions, such as digits",
)
