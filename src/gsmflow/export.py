"""A run's classifier as an ONNX graph: raw features (N, D) in, class probabilities (N, C) out.

The graph is written node by node, so exporting needs nothing but the `onnx` package, and what runs it needs
no PyTorch. Inputs and outputs:

- ``features``: float32 (samples, D), as the run was trained on.
- ``probabilities``: float32 (samples, C), rows summing to 1; ``logits``: float32 (samples, C), bias included.

The model's metadata hold ``classes`` (JSON list, in the order of the columns), ``unseen`` (JSON list of
indices) and ``gsmflow`` (the version that wrote it).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gsmflow import __version__
from gsmflow.classifier import FittedClassifier
from gsmflow.errors import InputError
from gsmflow.files import make_folder, write_bytes
from gsmflow.head import Head, LinearHead
from gsmflow.representation import Representation, RepresentedHead
from gsmflow.transform import FeatureTransform

_OPSET = 17  # of 2022: what onnxruntime 1.12 and later run
_IR = 8
_LEAK = 0.2


class _Graph:
    """Nodes and constants, in the order they are added; each node gives one float32 value."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node and return the name of its value."""
        from onnx import helper

        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: NDArray[Any] | Tensor | float | list[int]) -> str:
        """Append a constant, float32 or int64, and return its name."""
        from onnx import numpy_helper

        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        array = np.ascontiguousarray(array, np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def export(classifier: FittedClassifier, path: Path) -> None:
    """Write a classifier as an ONNX file.

    Raises
    ------
    InputError: its head is not a linear one (methods that classify by the flow's likelihood), `onnx` is not
        installed, or the file cannot be written.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ModuleNotFoundError:
        raise InputError("export: onnx is not installed; pip install 'gsmflow[onnx]'") from None

    graph = _Graph()
    x = _transform(graph, "features", classifier.transform)
    bias = np.zeros(len(classifier.classes), np.float32)
    bias[classifier.unseen] = classifier.bias
    x = _head(graph, x, classifier.head)
    x = graph.add("Add", x, graph.constant(bias), output="logits")
    graph.add("Softmax", x, output="probabilities", axis=1)

    def value(name: str, columns: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["samples", columns])

    count = len(classifier.classes)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "classifier",
            [value("features", classifier.transform.in_dim)],
            [value("probabilities", count), value("logits", count)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="gsmflow",
        producer_version=__version__,
    )
    helper.set_model_props(
        model,
        {
            "classes": json.dumps(list(classifier.classes)),
            "unseen": json.dumps(classifier.unseen.tolist()),
            "gsmflow": __version__,
        },
    )
    checker.check_model(model, full_check=True)
    make_folder(path.parent)
    write_bytes(path, model.SerializeToString())


def _transform(graph: _Graph, x: str, transform: FeatureTransform) -> str:
    """What :class:`FeatureTransform` does."""
    if transform.log:
        x = graph.add("Max", x, graph.constant(0.0))
        x = graph.add("Log", graph.add("Add", x, graph.constant(1.0)))
    x = graph.add("Sub", x, graph.constant(transform.shift))
    x = graph.add("Mul", x, graph.constant(transform.scale))
    if transform.unit_length:
        x = _unit(graph, x)
    if transform.axes is not None and transform.center is not None:
        x = graph.add("Sub", x, graph.constant(transform.center))
        x = graph.add("MatMul", x, graph.constant(transform.axes))
    return x


def _head(graph: _Graph, x: str, head: Head) -> str:
    """The logits of a head."""
    if isinstance(head, RepresentedHead):
        return _head(graph, _represented(graph, x, head.representation), head.head)
    if not isinstance(head, LinearHead):
        raise InputError(
            "export: this run classifies by the likelihood of its flow, and only softmax heads can be exported; "
            "train with another method, such as gsmflow"
        )
    weight = head.weight
    if head.scale is not None:
        x = _unit(graph, x)
        weight = head.scale * weight / weight.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return graph.add("Gemm", x, graph.constant(weight), graph.constant(head.bias), transB=1)


def _represented(graph: _Graph, x: str, representation: Representation) -> str:
    """What :class:`Representation` does."""
    states = [x]
    for weight, bias, activation in representation.layers:
        x = graph.add("Gemm", states[-1], graph.constant(weight), graph.constant(bias), transB=1)
        states.append(_activated(graph, x, activation))
    return graph.add("Concat", *(states[index] for index in representation.kept), axis=1)


def _activated(graph: _Graph, x: str, activation: str) -> str:
    if activation == "leaky_relu":
        return graph.add("LeakyRelu", x, alpha=_LEAK)
    kinds = {"none": "Identity", "relu": "Relu", "sigmoid": "Sigmoid", "cos": "Cos"}
    return graph.add(kinds[activation], x)


def _unit(graph: _Graph, x: str) -> str:
    """Rows of length 1."""
    length = graph.add("ReduceL2", x, axes=[1], keepdims=1)
    return graph.add("Div", x, graph.add("Max", length, graph.constant(1e-12)))
