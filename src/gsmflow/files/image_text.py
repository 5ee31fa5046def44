"""Models of images and texts (CLIP, SigLIP): where their files are, what identifies a model, and opening one.

Such a model is named ``clip:FOLDER``, or ``clip:OWNER/NAME`` as on Hugging Face. Its two towers map pictures and
sentences into one space, in which the cosine of a picture and a sentence says how well they match. Weights are read
from safetensors files only, and code in a model's folder is never run.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.files.checksums import digest_of

if TYPE_CHECKING:
    import torch

PREFIX, _KIND = "clip:", "clip"  # of names; of backbones in their descriptions
_NOTED = "image_text"  # in what is noted beside semantics
KINDS = ("clip", "siglip")
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")  # neither pickles nor programs
# What the vectors of pictures and texts depend on.
_DECISIVE = {
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
}


@dataclass(frozen=True)
class ImageTextModel:
    """What a data set records about the model that computed both its features and its semantics.

    Parameters
    ----------
    sha256 : str
        Identifies the model: a digest of its weights, vocabulary and settings.
    scale : float
        Factor of the cosine of a picture and a text: the inverse of the model's own temperature.
    bias : float
        Added to the scaled cosine; 0 for CLIP.
    """

    sha256: str
    scale: float
    bias: float

    def note(self) -> dict[str, Any]:
        """The note beside semantics that this model computed; `model_of_both` reads it."""
        return {_NOTED: asdict(self)}


def model_of_both(
    backbone: Mapping[str, Any] | None, origin: Mapping[str, Any] | None
) -> ImageTextModel | None:
    """The model that computed both features and semantics, recognised by its fingerprint; None if there is none.

    Parameters
    ----------
    backbone : Mapping[str, Any] | None
        What computed the features, as noted by extraction.
    origin : Mapping[str, Any] | None
        How the semantics were made, as noted by ``gsmflow describe``.
    """
    said = (origin or {}).get(_NOTED)
    if not backbone or not isinstance(said, Mapping) or not said.get("sha256"):
        return None
    if backbone.get("kind") != _KIND or backbone.get("sha256") != said["sha256"]:
        return None
    try:
        return ImageTextModel(str(said["sha256"]), float(said["scale"]), float(said["bias"]))
    except (KeyError, TypeError, ValueError):
        return None


def is_named(name: str) -> bool:
    """Whether a name stands for an image-text model."""
    return name.startswith(PREFIX)


def is_model(folder: Path) -> bool:
    """Whether a folder holds such a model, by its settings and the names of its files."""
    try:
        _check_kind(folder)
    except InputError:
        return False
    return True


def remembered(name: str) -> str:
    """A name in the form in which it is stored: the path of a folder in full."""
    folder = Path(name.removeprefix(PREFIX))
    return f"{PREFIX}{folder.resolve()}" if folder.is_dir() else name


def check_model(name: str, parameter: str) -> Path | None:
    """The folder of a model; None for a name that has to be looked up or downloaded first. Loads nothing.

    Raises
    ------
    InputError
        Transformers is missing; the folder holds no such model, or pickled weights; or the name is not possible.
    """
    inner = name.removeprefix(PREFIX)
    if find_spec("transformers") is None:
        raise InputError(f"{name}: needs transformers: {installing('text')}", parameter=parameter)
    folder = Path(inner)
    if folder.is_dir():
        _check_kind(folder)
        return folder
    if inner.count("/") != 1 or inner.startswith((".", "~", "/")) or inner.endswith("/"):
        raise InputError(
            f"{name}: neither a folder nor a published model; write clip:FOLDER, or clip:OWNER/NAME such as "
            "clip:openai/clip-vit-base-patch32",
            parameter=parameter,
        )
    return None


def folder_of(name: str, parameter: str) -> Path:
    """The folder of a model's files; they are downloaded if they are not in the cache.

    Raises
    ------
    InputError
        [`check_model`][gsmflow.files.image_text.check_model] refuses the name; or the model is not in the cache and
        cannot be downloaded.
    """
    there = check_model(name, parameter)
    if there is not None:
        return there
    from huggingface_hub import constants, snapshot_download

    repository = name.removeprefix(PREFIX)
    try:
        folder = Path(snapshot_download(repository, allow_patterns=list(_FILES), local_files_only=True))
    except Exception:  # not in the cache; the library raises various errors
        try:
            folder = Path(snapshot_download(repository, allow_patterns=list(_FILES)))
        except Exception as error:
            raise InputError(
                f"{name}: not in the cache ({constants.HF_HUB_CACHE}), and cannot be downloaded here "
                f"({type(error).__name__})",
                parameter=parameter,
                remedy=f"fetch the files of https://huggingface.co/{repository} elsewhere, put them into a folder and "
                "name it as clip:FOLDER",
            ) from None
    _check_kind(folder)
    return folder


def _check_kind(folder: Path) -> None:
    settings = _settings(folder)
    kind = settings.get("model_type") if settings else None
    if kind not in KINDS:
        holds = f"a model of type {kind}" if kind else "no config.json of a model"
        raise InputError(
            f"{folder}: holds {holds}, expected one of images and texts ({' or '.join(KINDS)}) as transformers saves it"
        )
    if not list(folder.glob("*.safetensors")):
        raise InputError(
            f"{folder}: has no .safetensors file, and pickled weights are never loaded; save the model as safetensors "
            "(model.save_pretrained(folder))"
        )


def _settings(folder: Path) -> dict[str, Any] | None:
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) else None


def fingerprint(folder: Path) -> str:
    """SHA-256 of everything that a model's vectors depend on: weights, vocabulary, settings."""
    whole = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file() and (file.suffix == ".safetensors" or file.name in _DECISIVE):
            whole.update(f"{file.name} {digest_of(file)}\n".encode())
    return whole.hexdigest()


def described(folder: Path) -> ImageTextModel:
    """What identifies the model in a folder, and the model's own temperature. Loads two numbers of its weights.

    Raises
    ------
    InputError
        Its weights are damaged, or lack the temperature.
    """
    from safetensors import SafetensorError, safe_open

    said: dict[str, float] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:  # numpy does not know bfloat16
                for name in {"logit_scale", "logit_bias"} & set(tensors.keys()):
                    said[name] = float(tensors.get_tensor(name).reshape(-1)[0])
        except (SafetensorError, OSError, ValueError, TypeError) as error:
            raise InputError(f"{file}: not a readable safetensors file ({error}); fetch it anew") from None
    scale = math.exp(said["logit_scale"]) if abs(said.get("logit_scale", 99.0)) < 20 else math.nan
    bias = said.get("logit_bias", 0.0)
    if not (math.isfinite(scale) and math.isfinite(bias)):
        raise InputError(f"{folder}: its weights have no usable logit_scale, its temperature; fetch it anew")
    return ImageTextModel(fingerprint(folder), scale, bias)


def open_model(folder: Path, device: torch.device) -> Any:
    """The model in a folder with both towers, in float32 on a device.

    Raises
    ------
    InputError
        The model is damaged, or its weights do not match its settings.
    """
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    _check_kind(folder)
    logging.disable_progress_bar()
    try:
        loaded: Any = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:
        raise InputError(f"{folder}: not a readable model ({' '.join(str(error).split())[:200]})") from None
    model, report = loaded
    lacking = [str(key) for kind in ("missing_keys", "mismatched_keys") for key in report[kind]]
    if lacking:
        raise InputError(
            f"{folder}: its weights lack {lacking[0]} or have it in another shape; fetch it anew"
        )
    return model.eval().to(device)


def projected(output: Any) -> Any:
    """The vectors in the output of `get_image_features` or `get_text_features`, in old and new transformers."""
    return getattr(output, "pooler_output", output)
