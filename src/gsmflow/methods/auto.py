"""The best classifier that validation finds: closed forms and flows, judged on the same problems and stacked.

No single method is best on all data. Closed forms take seconds, so they come first, each with its own transformation of
the features; the logits of the heads with the best parameters are averaged. The distance to the nearest training
samples joins them; it ranks no classes, but tells unseen ones from seen ones. Then come a flow on the residuals of
regressed class means, and a flow on the features themselves. All are judged on the same validation problems, which are
cut from the training data. The weights of a stack of their logits are chosen there too (stacked generalization:
Wolpert, Neural Networks 1992)::

    logit_c = sum_m w_m l_m,c / s_m  (+ b for unseen c),    w_m >= 0,    s_m: spread of the logits of m

A stack is used if it beats its best member; see [`gsmflow.protocol.composing`][gsmflow.protocol.composing].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.options import Options, option
from gsmflow.methods.method import Member, Method

_WHOLE = (
    "features.project=0",
    "features.project_at_most=0",
    "semantics.scaling=centered",
    "selection.averaged=5",
)
_LDA = (*_WHOLE, "lda.semantic_widths_tried=on")
_NOVELTY = (
    "features.project=0",
    "features.project_at_most=0",
    "features.scaling=standard",
    "neighbours.ranked=off",
)
_SETS = ("head.sets=3",)


@dataclass(frozen=True)
class AutoOptions(Options):
    """How long members may take, and how they are judged."""

    table = "auto"

    budget: float = option(
        0.0, "seconds after which no member is tried any further, except the first; 0: no bound", low=0
    )
    draws: int = option(8, "validation problems that closed forms are judged on", low=1)
    behind: float = option(
        0.15,
        "a flow is left out if its H on the first validation problem is this much below that of another member",
        low=0,
        high=1,
    )
    stack: bool = option(True, "stack members; off: the best single one")


METHOD = Method(
    name="auto",
    citation="Wolpert, Stacked generalization, Neural Networks 1992; each member by its own authors",
    options=AutoOptions,
    preset="best",
    members=(
        Member("lda", "lda", _LDA),
        Member("lda on unit length", "lda", ("features.scaling=length", *_LDA)),
        Member("eszsl", "eszsl", _WHOLE),
        Member("sae", "sae", _WHOLE),
        Member("iap", "iap", _WHOLE),
        Member("dap", "dap", _WHOLE, binary_at_most=64),
        Member("zero-shot", "zero-shot"),
        Member("kernel-eszsl", "kernel-eszsl", _WHOLE),
        Member("novelty", "neighbours", _NOVELTY, ranks=False),
        Member("gsmflow", "gsmflow", ("gsmflow.residual=on", *_SETS)),
        Member("plain gsmflow", "gsmflow", ("gsmflow.residual=off", *_SETS)),
    ),
    kind="several, stacked",
    speed="the sum of its members",
    when="if only the result matters: tries the others and uses what is best on validation problems",
)
