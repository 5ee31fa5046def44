"""What DAP and IAP share: the classifiers whose probabilities they combine.

How they work is in [`gsmflow.methods.workings.attributes`][gsmflow.methods.workings.attributes].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option


@dataclass(frozen=True)
class AttributeOptions(Options):
    """The base classifier of scikit-learn, and the regularizers to try."""

    classifier: str = option(
        "logistic",
        "the base classifier: logistic regression or Gaussian naive Bayes",
        choices=("logistic", "bayes"),
    )
    ridge: float = option(
        -2.0,
        "exponent of 10: weight of the L2 term of logistic regression against the mean loss",
        low=-12,
        high=12,
    )
    smoothing: float = option(
        -2.0,
        "exponent of 10: the fraction of the largest variance that naive Bayes adds to all",
        low=-12,
        high=12,
    )
    tried: int = option(
        1,
        "exponents of ridge and smoothing tried on either side, for both classifiers, if the protocol may choose",
        low=0,
        high=12,
    )
