"""A builder of ONNX graphs, and the feature transformation as nodes.

Nodes are written one by one, so that exporting needs no package but ``onnx``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.data.transform import FeatureTransform


class Graph:
    """Nodes and constants, in the order they are added; each node gives one float32 value.

    Only nodes that mean the same in every opset from 13 on may be used.

    Parameters
    ----------
    prefix : str
        Begins the names of all values, except for those that the caller names.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node of an operator such as ``Gemm`` and return the name of its value."""
        from onnx import helper

        name = output or f"{self.prefix}{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(
        self, value: NDArray[Any] | Tensor | float | list[int], kind: type[np.floating] = np.float32
    ) -> str:
        """Append a constant, int64 or of that kind of floating-point number, and return its name."""
        from onnx import numpy_helper

        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        array = np.ascontiguousarray(array, np.int64 if array.dtype.kind == "i" else kind)
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def largest(self, x: str) -> str:
        """The largest of each row, (samples, 1). Not by ReduceMax, which differs between opsets."""
        return self._top(x, 1, 1, largest=1)

    def smallest(self, x: str, count: int, axis: int = 1) -> str:
        """The `count` smallest values along an axis, in ascending order."""
        return self._top(x, count, axis, largest=0)

    def _top(self, x: str, count: int, axis: int, largest: int) -> str:
        from onnx import helper

        name = f"{self.prefix}top_{len(self.nodes)}"
        inputs, outputs = [x, self.constant([count])], [name, f"{name}_at"]
        self.nodes.append(helper.make_node("TopK", inputs, outputs, axis=axis, largest=largest))
        return name

    def squared_distances(self, x: str, centers: Tensor) -> str:
        """|x - z|^2 of rows x (samples, D) and centers z (M, D), none below 0: (samples, M)."""
        ones = self.constant(np.ones((centers.shape[1], 1)))
        squares = self.add("MatMul", self.add("Mul", x, x), ones)
        squares = self.add("Add", squares, self.constant(centers.square().sum(dim=1)))
        products = self.add("MatMul", x, self.constant(2 * centers.T))
        return self.add("Max", self.add("Sub", squares, products), self.constant(0.0))

    def unit(self, x: str, dim: int) -> str:
        """Rows (samples, dim) scaled to length 1."""
        squares = self.add("MatMul", self.add("Mul", x, x), self.constant(np.ones((dim, 1))))
        return self.add("Div", x, self.add("Max", self.add("Sqrt", squares), self.constant(1e-12)))


def transformed(graph: Graph, x: str, transform: FeatureTransform) -> str:
    """The value of raw features x (samples, D) after a [`FeatureTransform`][gsmflow.data.transform.FeatureTransform].

    They are float32, or float64 where the transformation has an offset.
    """
    if transform.offset is not None:
        if not transform.absolute:
            x = graph.add("Sub", x, graph.constant(transform.offset, np.float64))
        x = graph.add("Cast", x, to=1)  # TensorProto.FLOAT
    if transform.log:
        x = graph.add("Max", x, graph.constant(0.0))
        x = graph.add("Log", graph.add("Add", x, graph.constant(1.0)))
    x = graph.add("Sub", x, graph.constant(transform.shift))
    x = graph.add("Mul", x, graph.constant(transform.scale))
    if transform.unit_length:
        x = graph.unit(x, transform.in_dim)
    if transform.axes is not None and transform.center is not None:
        x = graph.add("Sub", x, graph.constant(transform.center))
        x = graph.add("MatMul", x, graph.constant(transform.axes))
    return x
