"""An upper bound: the head trained on real features of all classes, those of unseen classes lent by the test part.

How it works is in [`gsmflow.methods.workings.upper_bound`][gsmflow.methods.workings.upper_bound].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options
from gsmflow.data.lending import Setting
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class UpperBoundOptions(Options):
    """The method has no options; those of the head apply."""

    table = "upper-bound"


METHOD = Method(
    name="upper-bound",
    citation="Chao et al., An empirical study and analysis of generalized zero-shot learning, ECCV 2016, whose upper "
    "bound is a classifier trained on labelled samples of all classes",
    options=UpperBoundOptions,
    learner=later("gsmflow.methods.workings.upper_bound:RealSamples"),
    upper_bound=True,
    kind=Setting.UPPER_BOUND.value,
    speed="seconds to a minute",
    when="not ranked: what the same head reaches with perfect synthesis, on the other half of the test samples",
)
