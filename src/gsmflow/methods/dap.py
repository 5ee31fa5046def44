"""DAP, direct attribute prediction (Lampert et al., PAMI 2014): a classifier for every attribute.

How it works is in [`gsmflow.methods.workings.dap`][gsmflow.methods.workings.dap].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gsmflow.base.options import option
from gsmflow.methods.attributes import AttributeOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class DAPOptions(AttributeOptions):
    """Options of the base classifier, and of Platt scaling."""

    table = "dap"

    platt: bool = option(
        False,
        "fit a scale for the log-odds of each attribute to held-out samples; on and off are tried if the protocol may "
        "choose",
    )


def _at(options: DAPOptions, parameters: Mapping[str, float]) -> DAPOptions:
    own = dict(parameters)
    classifier = "bayes" if own.pop("bayes") else "logistic"
    return replace(options, classifier=classifier, platt=bool(own.pop("platt")), **own, tried=0)


METHOD = Method(
    name="dap",
    citation="Lampert et al., Attribute-based classification for zero-shot visual object categorization, PAMI 2014",
    options=DAPOptions,
    direct=later("gsmflow.methods.workings.dap:solutions"),
    at=_at,
    kind="closed form",
    speed="seconds to 5 minutes",
    when="few classes, true binary attributes: a probability for each attribute, which people can check",
)
