"""Real pictures of digits as PNG files, and small model files that turn pictures into features."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits

SIDE = 32


def digits(folder: Path, count: int, leave_out: tuple[int, ...] = ()) -> list[Path]:
    """The first `count` digits of scikit-learn as pictures, one folder a digit; those left out are not written."""
    data = load_digits()
    files = []
    for index, (pixels, digit) in enumerate(zip(data.images[:count], data.target[:count], strict=True)):
        if int(digit) in leave_out:
            continue
        file = folder / f"digit {digit}" / f"{index:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((SIDE, SIDE)).save(file)
        files.append(file)
    return files


def mean_colour_model(file: Path, batch: int | str = "n", scale: float = 1.0) -> Path:
    """ONNX: the mean of each of the three channels, times `scale`. What it gives can be computed by hand."""
    return _save(
        file,
        [
            helper.make_node("GlobalAveragePool", ["x"], ["m"]),
            helper.make_node("Mul", ["m", "s"], ["p"]),
            helper.make_node("Flatten", ["p"], ["y"]),
        ],
        {"s": np.array([scale], np.float32)},
        3,
        batch,
    )


def patches_model(file: Path, seed: int = 0) -> Path:
    """ONNX: 8 random 8 x 8 filters, rectified: 128 dimensions that digits can be told apart by."""
    rng = np.random.default_rng(seed)
    weight = (rng.normal(size=(8, 3, 8, 8)) / 14).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[8, 8]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["y"]),
    ]
    return _save(file, nodes, {"w": weight}, 128)


def _save(file: Path, nodes: list, values: dict[str, np.ndarray], dims: int, batch: int | str = "n") -> Path:
    graph = helper.make_graph(
        nodes,
        "features",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, dims])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, file)
    return file


def torchscript_model(file: Path) -> Path:
    """TorchScript: a convolution whose feature map the reader has to average."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):  # which of them depends on torch's version
            warnings.simplefilter("ignore", kind)
        torch.jit.script(torch.nn.Conv2d(3, 5, 4)).save(str(file))
    return file
