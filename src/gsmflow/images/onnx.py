"""A backbone in an ONNX file, run by onnxruntime on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.suggest import listed
from gsmflow.images.backbone import Backbone, BackboneSpec, digest_of_model, pooled
from gsmflow.images.preprocessing import Preprocessing


def open_onnx(spec: BackboneSpec, device: torch.device) -> Backbone:
    """Open an ONNX model with one input of pictures (B, 3, H, W) in float32.

    If the model fixes the size of pictures, the preprocessing must have the same. A fixed batch is filled up
    with zeros.

    Raises
    ------
    InputError
        Onnxruntime is missing, or the file is no such model.
    """
    path = Path(spec.model)
    digest = digest_of_model(path)
    try:
        import onnxruntime
    except ImportError:
        raise InputError(f"{path}: needs onnxruntime: {installing('onnx')}") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no other common base
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a readable ONNX model ({reason}); export it anew") from None
    inputs, preprocessing = session.get_inputs(), spec.preprocessing or Preprocessing()
    shape = inputs[0].shape if inputs else []
    if len(inputs) != 1 or len(shape) != 4 or (shape[1] not in (3, None) and not isinstance(shape[1], str)):
        raise InputError(
            f"{path}: takes {listed(f'{i.name} {i.shape}' for i in inputs)}, expected one input of pictures "
            "(images, 3, height, width)"
        )
    if inputs[0].type != "tensor(float)":
        raise InputError(f"{path}: takes {inputs[0].type}, expected tensor(float); export it in float32")
    fixed = [side for side in shape[2:] if isinstance(side, int)]
    if any(side != preprocessing.size for side in fixed):
        raise InputError(
            f"{path}: takes pictures of {fixed[0]} x {fixed[-1]} pixels, not {preprocessing.size}",
            remedy=f"extract with `size` {fixed[0]}",
        )
    names = [output.name for output in session.get_outputs()]
    wanted = spec.output or names[0]
    if wanted not in names:
        raise InputError(f"{path}: has no output '{wanted}'; it has {listed(names)}")
    batch = shape[0] if isinstance(shape[0], int) else None

    def run(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            outputs: Any = session.run([wanted], {inputs[0].name: pictures})
        except Exception as error:
            raise InputError(f"{path}: fails on its input ({' '.join(str(error).split())[:200]})") from None
        return pooled(np.asarray(outputs[0]), f"{path}: output '{wanted}'")

    def features(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        if batch is None:
            return run(pictures)
        batches = []
        for start in range(0, len(pictures), batch):
            some = pictures[start : start + batch]
            filled = np.zeros((batch, *some.shape[1:]), np.float32)
            filled[: len(some)] = some
            batches.append(run(filled)[: len(some)])
        return np.concatenate(batches)

    return Backbone(replace(spec, sha256=digest, preprocessing=preprocessing), preprocessing, features)
