"""Opens a backbone of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gsmflow.base.errors import InputError
from gsmflow.images.backbone import BACKBONES, Backbone, BackboneSpec

if TYPE_CHECKING:
    import torch


def open_backbone(spec: BackboneSpec, device: torch.device) -> Backbone:
    """Load the backbone that a description names.

    Parameters
    ----------
    spec : BackboneSpec
        The description. If it has a SHA-256, that of the model must be the same.
    device : torch.device
        Where timm and TorchScript compute; ONNX runs on the CPU.

    Raises
    ------
    InputError
        A file or a package is missing, the file is damaged, not of its kind or another one than was described,
        or weights cannot be obtained; the message says which file is needed and where.
    """
    backbone = BACKBONES.find(spec.kind).open(spec, device)
    if spec.sha256 and backbone.spec.sha256 != spec.sha256:
        what = spec.weights or spec.model
        raise InputError(
            f"{what}: not the backbone that the features were made with (its SHA-256 begins "
            f"{backbone.spec.sha256[:12]}, expected {spec.sha256[:12]}); restore that file, or name it"
        )
    return backbone
