"""The text tower of a model of images and texts (CLIP, SigLIP), whose vectors lie near the model's image features."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.files.image_text import folder_of, open_model, projected
from gsmflow.semantics.sentences import Encode

_BATCH = 32


def open_text_tower(name: str, device: torch.device) -> Encode:
    """The text tower of a model ``clip:FOLDER`` or ``clip:OWNER/NAME``, with its projection.

    Raises
    ------
    InputError
        Transformers is missing; the folder holds no such model, or pickled weights; or the model is not in the
        cache and cannot be downloaded.
    """
    from transformers import AutoTokenizer

    folder = folder_of(name, "encoder")
    model = open_model(folder, device)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{folder}: has no readable tokenizer ({reason}); fetch its files too") from None
    # SigLIP was trained on texts padded to the same length; CLIP ignores what follows the end of a text.
    filled: Any = "max_length" if model.config.model_type == "siglip" else True
    longest = model.config.text_config.max_position_embeddings

    def encode(sentences: list[str]) -> NDArray[np.float32]:
        vectors = []
        for start in range(0, len(sentences), _BATCH):
            tokens = tokenizer(
                sentences[start : start + _BATCH],
                padding=filled,
                truncation=True,
                max_length=longest,
                return_tensors="pt",
            ).to(device)
            with torch.inference_mode():
                vectors.append(projected(model.get_text_features(**tokens)).float().cpu().numpy())
        return np.concatenate(vectors)

    return encode
