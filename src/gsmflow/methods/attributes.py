"""What DAP and IAP share: the classifiers whose probabilities they combine.

How they work is in [`gsmflow.methods.workings.attributes`][gsmflow.methods.workings.attributes].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option


@dataclass(frozen=True)
class AttributeOptions(Options):
    """The base classifier, scikit-learn's, and what is tried."""

    classifier: str = option(
        "logistic",
        "the base classifier: logistic regression or Gaussian naive Bayes",
        choices=("logistic", "bayes"),
    )
    ridge: float = option(
        -2.0, "exponent of 10: L2 term of logistic regression, beside a mean loss", low=-12, high=12
    )
    smoothing: float = option(
        -2.0, "exponent of 10: what naive Bayes adds to variances, in shares of the largest", low=-12, high=12
    )
    tried: int = option(
        1,
        "exponents of ridge and of smoothing tried to each side, of both classifiers, where the protocol may choose",
        low=0,
        high=12,
    )
