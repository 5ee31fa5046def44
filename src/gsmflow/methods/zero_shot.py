"""Zero-shot classification by a model of images and texts (CLIP, SigLIP): names are enough, nothing is trained.

How it works is in [`gsmflow.methods.workings.zero_shot`][gsmflow.methods.workings.zero_shot].
"""

from __future__ import annotations

from dataclasses import dataclass

from gsmflow.base.errors import InputError
from gsmflow.base.options import Options
from gsmflow.data.problem import Problem
from gsmflow.methods.method import Method, later


@dataclass(frozen=True)
class ZeroShotOptions(Options):
    """The method has no options."""

    table = "zero-shot"


def check(problem: Problem) -> None:
    """Refuse a problem whose features and semantics are not from one model of images and texts.

    Raises
    ------
    InputError
        They are not; the message says where they are from.
    """
    if problem.image_text is None:
        features = (problem.backbone or {}).get("model", "an unknown origin")
        semantics = (problem.semantic_origin or {}).get("encoder", "an unknown origin")
        raise InputError(
            f"{problem.name}: zero-shot takes features and semantics of one model of images and texts, but features "
            f"are of {features}, semantics of {semantics}" + " (another model)" * (features == semantics),
            remedy="give both one: gsmflow extract --backbone clip:NAME, gsmflow describe --encoder clip:NAME",
        )


METHOD = Method(
    name="zero-shot",
    citation="Radford et al., Learning transferable visual models from natural language supervision, ICML 2021; "
    "Zhai et al., Sigmoid loss for language image pre-training, ICCV 2023",
    options=ZeroShotOptions,
    fixed={
        "features.scaling": "length",
        "features.project": 0,
        "features.project_at_most": 0,
        "features.log": False,
        "semantics.scaling": "none",
        "head.calibrate": False,
    },
    needs=check,
    untrained=True,
    direct=later("gsmflow.methods.workings.zero_shot:solutions"),
    cheap=True,
    kind="closed form",
    speed="less than a second",
    when="names and no training pictures, with features and semantics of one CLIP or SigLIP model",
)
