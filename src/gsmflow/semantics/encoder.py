"""Sentence encoders from a local folder or the user's cache: sentence-transformers and CLIP's text tower.

Weights are read from safetensors files only, and code in a model's folder is never run.
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.files import image_text
from gsmflow.files.checksums import digest_of
from gsmflow.files.image_text import check_model, is_named
from gsmflow.files.missing import no_such, similar
from gsmflow.semantics.sentences import Encode

if TYPE_CHECKING:
    import torch

_BATCH = 32
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")  # neither pickles nor programs
_VOCABULARIES = {"tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"}
_OWN = "sentence_transformers."


def open_encoder(name: str, device: torch.device) -> Encode:
    """The encoder in a folder, or a published encoder by its name.

    Raises
    ------
    InputError
        Sentence-transformers is missing; the folder holds no encoder, or holds pickled weights or code; or
        the encoder is not in the cache and cannot be downloaded.
    """
    if is_named(name):
        from gsmflow.semantics.clip import open_text_tower

        return open_text_tower(name, device)
    folder = folder_of(name)
    if (folder / "modules.json").exists():
        return _sentence_transformer(folder, device)
    return _clip(folder, device)


def folder_of(name: str) -> Path:
    """The folder of an encoder's files; they are downloaded if they are not in the cache. Loads no model.

    Raises
    ------
    InputError
        Sentence-transformers is missing; the folder holds no encoder; or the encoder is not in the cache and cannot be
        downloaded.
    """
    if is_named(name):
        return image_text.folder_of(name, "encoder")
    folder = check_encoder(name) or _published(name)
    _check_kind(folder)
    return folder


def remembered(name: str) -> str:
    """A name in the form in which it is stored: the path of a folder in full."""
    if is_named(name):
        return image_text.remembered(name)
    return str(Path(name).resolve()) if Path(name).is_dir() else name


def fingerprint(name: str) -> str:
    """SHA-256 of an encoder's weights and vocabulary: encoders with the same SHA-256 give the same vectors.

    For a model of images and texts it is the same SHA-256 that is stored with the model's features.

    Raises
    ------
    InputError
        There is no such encoder.
    """
    folder = folder_of(name)
    if is_named(name):
        return image_text.fingerprint(folder)
    whole = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and (file.suffix == ".safetensors" or file.name in _VOCABULARIES):
            whole.update(f"{file.relative_to(folder).as_posix()} {digest_of(file)}\n".encode())
    return whole.hexdigest()


def origin_of(name: str) -> dict[str, Any]:
    """The note about an encoder beside its results: its name, its SHA-256, and the temperature of a model of images and
    texts.

    Raises
    ------
    InputError
        There is no such encoder, or the encoder is damaged.
    """
    if not is_named(name):
        return {"encoder": remembered(name), "encoder_sha256": fingerprint(name)}
    model = image_text.described(folder_of(name))
    return {"encoder": remembered(name), "encoder_sha256": model.sha256, **model.note()}


def check_encoder(name: str) -> Path | None:
    """The folder of an encoder; None for a name that has to be looked up or downloaded first. Loads nothing.

    Raises
    ------
    InputError
        Sentence-transformers is missing; the folder holds no encoder; or the name is not possible.
    """
    if is_named(name):
        return check_model(name, "encoder")
    if find_spec("sentence_transformers") is None:
        raise InputError(f"{name}: needs sentence-transformers: {installing('text')}", parameter="encoder")
    folder = Path(name)
    if not folder.is_dir():
        if name.endswith(("/", "\\")) or name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise InputError(f"{name}: {no_such(name, 'folder')}", parameter="encoder")
        return None
    _check_kind(folder)
    return folder


def _check_kind(folder: Path) -> None:
    if (folder / "modules.json").exists():
        return
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        kind = None
    if kind != "clip":
        raise InputError(
            f"{folder}: neither a sentence-transformers folder (modules.json) nor a CLIP model (config.json with "
            "model_type clip); name the folder such a model was saved to"
        )


def _published(name: str) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.utils import HFValidationError

    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return Path(snapshot_download(repository, allow_patterns=list(_FILES), local_files_only=True))
    except HFValidationError:
        raise InputError(
            f"{name}: neither a folder nor the name of an encoder", parameter="encoder"
        ) from None
    except Exception:  # not in the cache; the library raises various errors
        pass
    try:
        return Path(snapshot_download(repository, allow_patterns=list(_FILES)))
    except Exception as error:
        near = similar(name, "folder")
        fetch = (
            f"fetch the files of https://huggingface.co/{repository} elsewhere, put them into one folder and "
        )
        raise InputError(
            f"{name}: no such folder, not in the cache ({constants.HF_HUB_CACHE}), and cannot be downloaded here "
            f"({type(error).__name__})",
            parameter="encoder",
            remedy=f"did you mean '{near}'?" if near else f"{fetch}name that",
        ) from None


def _sentence_transformer(folder: Path, device: torch.device) -> Encode:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    _refuse_code(folder)
    _refuse_pickles(folder)
    try:
        model = SentenceTransformer(
            str(folder), device=str(device), local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except Exception as error:
        raise InputError(f"{folder}: not a readable encoder ({' '.join(str(error).split())[:200]})") from None

    def encode(sentences: list[str]) -> NDArray[np.float32]:
        vectors = model.encode(sentences, batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(vectors, np.float32)

    return encode


def _clip(folder: Path, device: torch.device) -> Encode:
    import torch
    from transformers import AutoTokenizer, CLIPModel
    from transformers.utils import logging

    _refuse_pickles(folder)
    logging.disable_progress_bar()
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # The whole model is loaded: alone, the text tower may expect a projection of another size and start from
        # random weights.
        loaded: Any = CLIPModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:
        raise InputError(
            f"{folder}: not a readable CLIP model ({' '.join(str(error).split())[:200]})"
        ) from None
    model, report = loaded
    lacking = [str(key) for kind in ("missing_keys", "mismatched_keys") for key in report[kind]]
    if lacking:
        raise InputError(
            f"{folder}: its weights lack {lacking[0]} or have it in another shape; fetch it anew"
        )
    model = model.eval().to(device)

    def encode(sentences: list[str]) -> NDArray[np.float32]:
        vectors = []
        for start in range(0, len(sentences), _BATCH):
            tokens = tokenizer(
                sentences[start : start + _BATCH],
                padding=True,
                truncation=True,
                max_length=model.config.text_config.max_position_embeddings,
                return_tensors="pt",
            ).to(device)
            with torch.inference_mode():
                state = model.text_model(tokens["input_ids"], attention_mask=tokens["attention_mask"])
                vectors.append(model.text_projection(state.pooler_output).float().cpu().numpy())
        return np.concatenate(vectors)

    return encode


def _refuse_code(folder: Path) -> None:
    """Refuse a modules.json that names classes in Python files beside it, because these files would be run."""
    try:
        kinds = [str(module["type"]) for module in json.loads((folder / "modules.json").read_text("utf-8"))]
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError(
            f"{folder / 'modules.json'}: not a list of modules; fetch the encoder anew"
        ) from None
    for kind in kinds:
        if not kind.startswith(_OWN):
            raise InputError(f"{folder / 'modules.json'}: names code of its own ({kind}), which is never run")


def _refuse_pickles(folder: Path) -> None:
    for file in sorted(folder.rglob("*.bin")):
        if not list(file.parent.glob("*.safetensors")):
            raise InputError(
                f"{file}: pickled weights, which are never loaded; save the encoder as safetensors "
                "(model.save_pretrained(folder, safe_serialization=True))"
            )
