"""A backbone of the timm library (ResNet-101, ViT, DINOv2, CLIP's image towers, ...), with timm's own transform."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.suggest import instead_of
from gsmflow.files.tensors import digest_of_tensors
from gsmflow.images.backbone import RANDOM, Backbone, BackboneSpec, pooled

_SEED = 0  # of random weights


def open_timm(spec: BackboneSpec, device: torch.device) -> Backbone:
    """Make a timm model without its classifier: pooled features, eval mode, float32.

    Weights come from ``spec.weights``, from the Hugging Face cache of this user, or from its hub; always as
    safetensors.

    Raises
    ------
    InputError
        Timm is missing, the model is unknown, or its weights are neither on this machine nor can they be
        downloaded.
    """
    try:
        timm = _timm()
    except ImportError as error:
        raise InputError(
            f"{spec.model}: needs timm: {installing('images')} ({error}); or name an .onnx or TorchScript file",
            parameter="backbone",
        ) from None
    if not timm.is_model(spec.model):
        raise InputError(
            f"{spec.model}: neither a model of timm {timm.__version__} nor a file ending in .onnx or .pt; "
            + instead_of(spec.model, timm.list_models()),
            parameter="backbone",
        )
    name, tag = spec.model, spec.model.partition(".")[2]
    try:
        known: Any = timm.get_pretrained_cfg(name)
    except RuntimeError:  # for a tag without weights
        known = None
    if known is None and tag:
        raise InputError(
            f"{name}: no published weights '{tag}'; "
            + instead_of(name, timm.list_pretrained(name.partition(".")[0])),
            parameter="backbone",
        )
    if spec.weights == RANDOM:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            model = timm.create_model(name, pretrained=False, num_classes=0)
    else:
        file = Path(spec.weights) if spec.weights else _published(name, known)
        model = _load(name, file)
    model = model.eval().to(device)
    config = timm.data.resolve_model_data_config(model)
    transform: Any = timm.data.create_transform(**config, is_training=False)

    def prepare(image: Any) -> NDArray[np.float32]:
        return transform(image).numpy()

    def features(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            features = model(torch.from_numpy(pictures).to(device))
        return pooled(features.float().cpu().numpy(), f"backbone {name}")

    return Backbone(replace(spec, sha256=digest_of_tensors(model.state_dict())), prepare, features)


def _timm() -> Any:
    """The timm library, which is optional."""
    return importlib.import_module("timm")


def _load(name: str, file: Path) -> torch.nn.Module:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt"):
            pass
    except FileNotFoundError:
        raise InputError(f"{file}: no such file", remedy=f"name the weights of {name} by `weights`") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{file}: not a readable safetensors file ({error}); fetch it anew") from None
    try:
        return _timm().create_model(
            name, pretrained=True, num_classes=0, pretrained_cfg_overlay={"file": str(file)}
        )
    except (RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{file}: not the weights of {name} ({reason})") from None


def _published(name: str, known: Any) -> Path:
    """The file of a model's published weights, from the cache or from the hub."""
    repository = getattr(known, "hf_hub_id", None)
    if not repository:
        raise InputError(
            f"{name}: has no published weights",
            parameter="backbone",
            remedy="name a .safetensors file of them by `weights`",
        )
    from huggingface_hub import constants, hf_hub_download

    file = "model.safetensors"
    pickled = known.hf_hub_filename
    if pickled:
        stem = pickled.rpartition(".")[0]
        file = "open_clip_model.safetensors" if stem == "open_clip_pytorch_model" else f"{stem}.safetensors"
    try:
        return Path(hf_hub_download(repository, file, local_files_only=True))
    except Exception:  # not in the cache; the library raises various errors
        pass
    try:
        return Path(hf_hub_download(repository, file))
    except Exception as error:
        raise InputError(
            f"{name}: its weights are not in the cache ({constants.HF_HUB_CACHE}) and cannot be "
            f"downloaded here ({type(error).__name__})",
            parameter="backbone",
            remedy=f"fetch https://huggingface.co/{repository}/resolve/main/{file} elsewhere, put it anywhere here "
            f"and add `weights` {file}",
        ) from None
