"""The kinds of backbones that come with the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gsmflow.files.hub_cache import cached
from gsmflow.files.image_text import PREFIX, is_model, is_named, remembered
from gsmflow.images.backbone import Backbone, BackboneKind, BackboneSpec

if TYPE_CHECKING:
    import torch

DEFAULT = "resnet101.tv_in1k"  # the paper's
_OWNERS = ("openai", "google", "laion")  # of models of images and texts
_WEIGHTS = "model.safetensors"


def _timm(spec: BackboneSpec, device: torch.device) -> Backbone:
    from gsmflow.images.timm import open_timm

    return open_timm(spec, device)


def _clip(spec: BackboneSpec, device: torch.device) -> Backbone:
    from gsmflow.images.clip import open_clip

    return open_clip(spec, device)


def _timm_at_hand() -> list[str]:
    if find_spec("timm") is None:
        return []
    names = cached("timm", _WEIGHTS, "open_clip_model.safetensors")
    return sorted(names, key=lambda name: (name != DEFAULT, name))


def _clip_at_hand() -> list[str]:
    if find_spec("transformers") is None:
        return []
    there = {f"{owner}/{name}": at for owner in _OWNERS for name, at in cached(owner, _WEIGHTS).items()}
    return [f"{PREFIX}{name}" for name, folder in there.items() if is_model(folder)]


def _onnx(spec: BackboneSpec, device: torch.device) -> Backbone:
    from gsmflow.images.onnx import open_onnx

    return open_onnx(spec, device)


def _torchscript(spec: BackboneSpec, device: torch.device) -> Backbone:
    from gsmflow.images.torchscript import open_torchscript

    return open_torchscript(spec, device)


TIMM = BackboneKind(
    "timm",
    owns=lambda name: False,  # it takes what no other kind does
    open=_timm,
    takes=("weights",),
    at_hand=_timm_at_hand,
)
CLIP = BackboneKind(
    "clip",
    owns=is_named,
    open=_clip,
    of_folder=True,
    remembered=remembered,
    at_hand=_clip_at_hand,
)
ONNX = BackboneKind(
    "onnx",
    owns=lambda name: Path(name).suffix.lower() == ".onnx",
    open=_onnx,
    of_file=True,
    takes=("output", "preprocessing"),
)
TORCHSCRIPT = BackboneKind(
    "torchscript",
    owns=lambda name: Path(name).suffix.lower() in (".pt", ".ts", ".torchscript"),
    open=_torchscript,
    of_file=True,
    takes=("preprocessing",),
)
