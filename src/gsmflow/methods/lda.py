"""Gaussian classes with a shared covariance, their means predicted from the semantics by ridge regression.

How it works is in [`gsmflow.methods.workings.lda`][gsmflow.methods.workings.lda].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class LDAOptions(Options):
    """Regularizers of LDA: 10^ridge times the mean of the diagonal it is added to, and a fraction of shrinkage."""

    table = "lda"

    ridge: float = option(-2.0, "exponent of the regularizer of the regression", low=-12, high=12)
    shrinkage: float = option(0.1, "rho, shrinkage of the covariance towards the identity", above=0, high=1)
    semantic_width: float = option(
        0.0,
        "width of a Gaussian kernel on semantics, in median distances of seen classes; 0: a linear kernel",
        low=0,
    )
    tried: int = option(
        4,
        "exponents of ridge tried on either side, if the protocol may choose; each with 5 shrinkages",
        low=0,
    )
    semantic_widths_tried: bool = option(False, "also try a Gaussian kernel of width 1 on semantics")


def _at(options: LDAOptions, parameters: Mapping[str, float]) -> LDAOptions:
    return replace(options, **{"semantic_width": 0.0, **parameters}, tried=0, semantic_widths_tried=False)


METHOD = Method(
    name="lda",
    rival="eszsl",
    citation="Gaussian classes with means regressed on semantics; compare Verma and Rai, ECML 2017",
    options=LDAOptions,
    direct=later("gsmflow.methods.workings.lda:solutions"),
    cheap=True,
    at=_at,
    kind="closed form",
    speed="seconds",
    when="the first to try on new data: no options to tune, and hard to beat if classes are nearly Gaussian",
)
