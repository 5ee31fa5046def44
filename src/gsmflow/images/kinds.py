"""The kinds of backbones that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gsmflow.files.image_text import is_named, remembered
from gsmflow.images.backbone import Backbone, BackboneKind, BackboneSpec

if TYPE_CHECKING:
    import torch


def _timm(spec: BackboneSpec, device: torch.device) -> Backbone:
    from gsmflow.images.timm import open_timm

    return open_timm(spec, device)


def _clip(spec: BackboneSpec, device: torch.device) -> Backbone:
    from gsmflow.images.clip import open_clip

    return open_clip(spec, device)


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
)
CLIP = BackboneKind(
    "clip",
    owns=is_named,
    open=_clip,
    of_folder=True,
    remembered=remembered,
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
