"""A backbone in a TorchScript file. Such a file is a program: open only those whose origin you trust."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.images.backbone import Backbone, BackboneSpec, digest_of_model, pooled
from gsmflow.images.preprocessing import Preprocessing
from gsmflow.images.torchscript_archive import refuse_pickle


def open_torchscript(spec: BackboneSpec, device: torch.device) -> Backbone:
    """Open a TorchScript module that takes pictures (B, 3, H, W) and gives features.

    It runs in TorchScript's own interpreter; no Python object is unpickled, and a checkpoint written by
    ``torch.save`` is refused before torch sees it.

    Raises
    ------
    InputError
        The file is no TorchScript module.
    """
    path = Path(spec.model)
    digest = digest_of_model(path)
    refuse_pickle(path)
    with warnings.catch_warnings():
        # Newer torch warns that the format is deprecated, but such files are in use.
        for kind in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        try:
            module = torch.jit.load(str(path), map_location=device)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{path}: not a readable TorchScript module ({reason}); export it anew"
            ) from None
    module.eval()
    preprocessing = spec.preprocessing or Preprocessing()

    def features(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            try:
                features = module(torch.from_numpy(pictures).to(device))
            except Exception as error:
                reason = " ".join(str(error).split())[-200:]
                raise InputError(f"{path}: fails on its input ({reason})") from None
        if not isinstance(features, torch.Tensor):
            raise InputError(f"{path}: gives {type(features).__name__}, expected one tensor of features")
        return pooled(features.float().cpu().numpy(), str(path))

    return Backbone(replace(spec, sha256=digest, preprocessing=preprocessing), preprocessing, features)
