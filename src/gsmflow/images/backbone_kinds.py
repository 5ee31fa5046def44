"""The kinds of backbones that come with the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.files.hub_cache import cached
from gsmflow.files.image_text import PREFIX, folder_of, is_model, is_named, remembered
from gsmflow.files.tensor_header import check_tensor_file
from gsmflow.images.backbone import RANDOM, Backbone, BackboneKind, BackboneSpec, check_model_file
from gsmflow.images.onnx_header import inputs_of, picture_side
from gsmflow.images.torchscript_archive import refuse_pickle

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


def _check_timm(spec: BackboneSpec) -> None:
    from gsmflow.images.timm_names import check_name

    check_name(spec.model)
    weights = Path(spec.weights)
    if spec.weights and spec.weights != RANDOM:
        check_tensor_file(weights)


def _check_clip(spec: BackboneSpec) -> None:
    folder_of(spec.model, "backbone")


def _check_onnx(spec: BackboneSpec) -> None:
    path = Path(spec.model)
    check_model_file(path)
    pictures = [shape for shape in inputs_of(path) if len(shape) == 4]
    if find_spec("onnxruntime") is None:
        raise InputError(f"{path}: needs onnxruntime: {installing('onnx')}")
    if len(pictures) != 1 or spec.preprocessing is None:
        return  # opening the model says what is wrong
    fixed = [side for side in pictures[0][2:] if side is not None]
    if any(side != spec.preprocessing.size for side in fixed):
        raise InputError(
            f"{path}: takes pictures of {fixed[0]} x {fixed[-1]} pixels, not {spec.preprocessing.size}",
            remedy=f"extract with `size` {fixed[0]}",
        )


def _check_torchscript(spec: BackboneSpec) -> None:
    refuse_pickle(Path(spec.model))


TIMM = BackboneKind(
    "timm",
    owns=lambda name: False,  # it takes what no other kind does
    open=_timm,
    takes=("weights",),
    at_hand=_timm_at_hand,
    check=_check_timm,
)
CLIP = BackboneKind(
    "clip",
    owns=is_named,
    open=_clip,
    of_folder=True,
    remembered=remembered,
    at_hand=_clip_at_hand,
    check=_check_clip,
)
ONNX = BackboneKind(
    "onnx",
    owns=lambda name: Path(name).suffix.lower() == ".onnx",
    open=_onnx,
    of_file=True,
    takes=("output", "preprocessing"),
    check=_check_onnx,
    side=lambda name: picture_side(Path(name)),
)
TORCHSCRIPT = BackboneKind(
    "torchscript",
    owns=lambda name: Path(name).suffix.lower() in (".pt", ".ts", ".torchscript"),
    open=_torchscript,
    of_file=True,
    takes=("preprocessing",),
    check=_check_torchscript,
)
