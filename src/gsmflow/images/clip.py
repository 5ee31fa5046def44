"""The image tower of a model of images and texts (CLIP, SigLIP) with its projection, as transformers opens it.

Features are what the model itself compares with texts: projected, and of length 1. timm's models of the same name
end before the projection, so no text is near them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.files.image_text import fingerprint, folder_of, open_model, projected
from gsmflow.images.backbone import Backbone, BackboneSpec, pooled


def open_clip(spec: BackboneSpec, device: torch.device) -> Backbone:
    """Open the image tower with its projection and the model's own preparation of pictures.

    Raises
    ------
    InputError
        Transformers or Pillow is missing, the folder holds no such model, or pickled weights; or the name is neither
        in the cache nor can it be downloaded.
    """
    folder = folder_of(spec.model, "backbone")
    model = open_model(folder, device)
    processor = _processor(folder)

    def prepare(image: Any) -> NDArray[np.float32]:
        prepared = processor(images=image, return_tensors="np")["pixel_values"]
        return np.ascontiguousarray(prepared[0], np.float32)

    def features(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            try:
                output = projected(
                    model.get_image_features(pixel_values=torch.from_numpy(pictures).to(device))
                )
            except ValueError as error:  # pictures of another size than its own preparation makes
                raise InputError(
                    f"{spec.model}: does not take pictures as its preprocessor_config.json prepares them "
                    f"({' '.join(str(error).split())[:160]}); fetch that file anew"
                ) from None
            unit = torch.nn.functional.normalize(output.float(), dim=1)
        return pooled(unit.cpu().numpy(), spec.model)

    return Backbone(replace(spec, sha256=fingerprint(folder)), prepare, features)


def _processor(folder: Any) -> Any:
    """The preparation of pictures by Pillow, which gives the same numbers on every machine."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise InputError(f"images need Pillow: {installing('images')}") from None
    import transformers
    from transformers import AutoImageProcessor

    old = int(transformers.__version__.partition(".")[0]) < 5
    how: dict[str, Any] = {"trust_remote_code": False} | ({"use_fast": False} if old else {"backend": "pil"})
    try:
        return AutoImageProcessor.from_pretrained(folder, local_files_only=True, **how)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{folder}: does not say how pictures are prepared for it, in preprocessor_config.json ({reason}); fetch "
            "that file too"
        ) from None
