"""IAP, indirect attribute prediction (Lampert et al., PAMI 2014): attributes by way of the seen classes.

How it works is in [`gsmflow.methods.workings.iap`][gsmflow.methods.workings.iap].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gsmflow.base.options import option
from gsmflow.methods.attributes import AttributeOptions
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class IAPOptions(AttributeOptions):
    """Options of the base classifier, and a temperature."""

    table = "iap"

    temperature: float = option(
        0.0,
        "exponent of 2: logits of seen classes are divided by it; 0, 2 and 4 are tried if the protocol may choose",
        low=-24,
        high=24,
    )


def _at(options: IAPOptions, parameters: Mapping[str, float]) -> IAPOptions:
    own = dict(parameters)
    return replace(options, classifier="bayes" if own.pop("bayes") else "logistic", **own, tried=0)


METHOD = Method(
    name="iap",
    citation="Lampert et al., Attribute-based classification for zero-shot visual object categorization, PAMI 2014",
    options=IAPOptions,
    direct=later("gsmflow.methods.workings.iap:solutions"),
    at=_at,
    kind="closed form",
    speed="seconds",
    when="as dap, if attributes are many or hard to predict: it needs one classifier, of the seen classes",
)
