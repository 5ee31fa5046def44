"""A run's classifier as an ONNX graph: raw features (N, D) in, class probabilities (N, C) out.

The graph is written node by node, so exporting needs nothing but the `onnx` package, and what runs it needs
no PyTorch. Inputs and outputs:

- ``features``: float32 (samples, D), as the run was trained on; or, where the backbone of the
  run is an ONNX file and was to be included, the backbone's own input: float32 pictures (samples, 3, H, W),
  resized, cropped and normalized as ``preprocessing`` in the metadata says.
- ``probabilities``: float32 (samples, C), rows summing to 1; ``logits``: float32 (samples, C), bias included,
  not yet divided by the temperature.

A method that classifies by its flow's likelihood becomes a loop over the classes (an ONNX ``Scan``), each turn
with the conditions of one class; what depends on the class alone is computed here and kept as constants.

The model's metadata hold ``classes`` (JSON list, in the order of the columns), ``unseen`` (JSON list of
indices) and ``gsmflow`` (the version that wrote it).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.base.version import __version__
from gsmflow.compute.activation import LEAK
from gsmflow.data.transform import FeatureTransform
from gsmflow.files.atomic import make_folder, write_bytes
from gsmflow.flow.coupling import ATAN_SLOPE, ConditionalCoupling, CouplingSubnet
from gsmflow.heads.base import Head
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.heads.likelihood import GatedHead, LikelihoodHead
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.representation import Representation, RepresentedHead
from gsmflow.images.backbone import BackboneSpec

_OPSET, _IR = 17, 8  # of 2022: what onnxruntime 1.12 and later run
_OLDEST = 13  # opset in which all nodes used here mean what they mean today
_OUTPUTS = ("probabilities", "logits")


class _Graph:
    """Nodes and constants, in the order they are added; each node gives one float32 value.

    Parameters
    ----------
    prefix : str
        Of the names of all values but those that are named by the caller.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node and return the name of its value."""
        from onnx import helper

        name = output or f"{self.prefix}{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: NDArray[Any] | Tensor | float | list[int]) -> str:
        """Append a constant, float32 or int64, and return its name."""
        from onnx import numpy_helper

        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        array = np.ascontiguousarray(array, np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def export(classifier: FittedClassifier, path: Path, backbone: BackboneSpec | None = None) -> None:
    """Write a classifier as an ONNX file.

    Parameters
    ----------
    backbone : BackboneSpec | None
        Include this one, so that the graph begins with pictures; it has to be an ONNX file.

    Raises
    ------
    InputError
        The backbone is no ONNX file or not the one that the run was trained with, `onnx` is not installed, or
        the file cannot be written.
    """
    try:
        from onnx import checker, helper
    except ModuleNotFoundError:
        raise InputError("export: onnx is not installed; pip install 'gsmflow[onnx]'") from None
    kept = {
        "classes": json.dumps(list(classifier.classes)),
        "unseen": json.dumps(classifier.unseen.tolist()),
        "gsmflow": __version__,
    }
    if backbone is None:
        model = _classifier(classifier)
    else:
        model = _behind(backbone, classifier)
        assert backbone.preprocessing is not None  # a backbone in a file always has one
        kept["preprocessing"] = json.dumps(backbone.preprocessing.to_dict())
    helper.set_model_props(model, kept)
    checker.check_model(model, full_check=True)
    make_folder(path.parent)
    write_bytes(path, model.SerializeToString())


def _classifier(
    classifier: FittedClassifier, *, prefix: str = "", opset: int = _OPSET, ir: int = _IR, maps: bool = False
) -> Any:
    """The model of features to probabilities; of feature maps (samples, D, height, width) with `maps`.

    Parameters
    ----------
    prefix : str
        Of all names but those of the outputs. Its nodes mean the same in every opset from 13 on.
    """
    from onnx import TensorProto, helper

    graph, dim = _Graph(prefix), classifier.transform.in_dim
    x = f"{prefix}features"
    taken = helper.make_tensor_value_info(
        x, TensorProto.FLOAT, ["samples", dim, "height", "width"] if maps else ["samples", dim]
    )
    if maps:
        x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    bias = np.zeros(len(classifier.classes), np.float32)
    bias[classifier.unseen] = classifier.bias
    x = _head(graph, _transform(graph, x, classifier.transform), classifier.head)
    x = graph.add("Add", x, graph.constant(bias), output="logits")
    x = graph.add("Div", x, graph.constant(classifier.temperature))
    graph.add("Softmax", x, output="probabilities", axis=1)
    shape = ["samples", len(classifier.classes)]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in _OUTPUTS]
    return helper.make_model(
        helper.make_graph(graph.nodes, f"{prefix}classifier", [taken], given, graph.constants),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=ir,
        producer_name="gsmflow",
        producer_version=__version__,
    )


def _behind(spec: BackboneSpec, classifier: FittedClassifier) -> Any:
    """The model of pictures to probabilities: the backbone's own graph, and behind it the classifier's."""
    import onnx
    from onnx import compose, version_converter

    from gsmflow.images.opening import open_backbone

    if spec.kind != "onnx":
        raise InputError(
            f"--images: the backbone of this run is {spec.model} ({spec.kind}), and only one in an ONNX file can be "
            "included; leave out --images and give the graph features"
        )
    open_backbone(spec, torch.device("cpu"))  # refuses another file than the run was trained with
    try:
        model = onnx.load(spec.model)
        if _opset(model) < _OLDEST:
            model = version_converter.convert_version(model, _OPSET)
        output = next(o for o in model.graph.output if o.name == (spec.output or model.graph.output[0].name))
        behind = _classifier(
            classifier,
            prefix="gsmflow/",
            opset=_opset(model),
            ir=model.ir_version,
            maps=len(output.type.tensor_type.shape.dim) == 4,
        )
        return compose.merge_models(
            model, behind, [(output.name, "gsmflow/features")], outputs=list(_OUTPUTS)
        )
    except InputError:
        raise
    except Exception as error:  # onnx's own exceptions share no base but this one
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{spec.model}: cannot be joined to the classifier ({reason}); leave out --images"
        ) from None


def _opset(model: Any) -> int:
    return next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)


def _transform(graph: _Graph, x: str, transform: FeatureTransform) -> str:
    """What [`FeatureTransform`][gsmflow.data.transform.FeatureTransform] does."""
    if transform.log:
        x = graph.add("Max", x, graph.constant(0.0))
        x = graph.add("Log", graph.add("Add", x, graph.constant(1.0)))
    x = graph.add("Sub", x, graph.constant(transform.shift))
    x = graph.add("Mul", x, graph.constant(transform.scale))
    if transform.unit_length:
        x = _unit(graph, x, transform.in_dim)
    if transform.axes is not None and transform.center is not None:
        x = graph.add("Sub", x, graph.constant(transform.center))
        x = graph.add("MatMul", x, graph.constant(transform.axes))
    return x


def _head(graph: _Graph, x: str, head: Head) -> str:
    """The logits of a head."""
    if isinstance(head, RepresentedHead):
        return _head(graph, _represented(graph, x, head.representation), head.head)
    if isinstance(head, GatedHead):
        return _gated(graph, x, head)
    if isinstance(head, LikelihoodHead):
        return _likelihood(graph, x, head)
    if not isinstance(head, LinearHead):
        raise TypeError(f"head: a {type(head).__name__}, which has no graph")
    weight = head.weight
    if head.scale is not None:
        x = _unit(graph, x, head.in_dim)
        weight = head.scale * weight / weight.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return graph.add("Gemm", x, graph.constant(weight), graph.constant(head.bias), transB=1)


def _gated(graph: _Graph, x: str, head: GatedHead) -> str:
    """What [`GatedHead`][gsmflow.heads.likelihood.GatedHead] does."""
    likelihood = _likelihood(graph, x, head.gate)
    seen, unseen = (
        _largest(graph, graph.add("Gather", likelihood, graph.constant(classes), axis=1))
        for classes in (head.seen, head.unseen)
    )
    of_seen, of_unseen = (_head(graph, x, part) for part in (head.seen_head, head.unseen_head))
    of_seen = graph.add("Sub", of_seen, _largest(graph, of_seen))
    of_seen = graph.add("Add", of_seen, graph.add("Sub", seen, unseen))
    of_unseen = graph.add("Sub", of_unseen, _largest(graph, of_unseen))
    side_by_side = graph.add("Concat", of_seen, of_unseen, axis=1)
    order = torch.cat((head.seen, head.unseen)).argsort()
    return graph.add("Gather", side_by_side, graph.constant(order), axis=1)


def _likelihood(graph: _Graph, x: str, head: LikelihoodHead) -> str:
    """log p(x | class) of every class (samples, C): one turn of a loop for each."""
    from onnx import TensorProto, helper

    model = head.model
    blocks: list[Any] = list(model.flow.blocks)
    with torch.no_grad():
        conditions = [c for pair in model.flow.condition(model.positioning(head.semantics)) for c in pair]
    turn = _Graph(f"{graph.prefix}class/")
    # A subnet that does not see the semantics has the same condition in every turn.
    scanned = {index: c for index, c in enumerate(conditions) if len(c) == head.classes}
    taken = {index: f"{turn.prefix}condition_{index}" for index in scanned}
    names = [taken[i] if i in taken else graph.constant(c[0]) for i, c in enumerate(conditions)]
    split = list(range(head.in_dim)[: blocks[0].split[0]]), list(range(head.in_dim)[blocks[0].split[0] :])
    first, second = (graph.add("Gather", x, graph.constant(half), axis=1) for half in split)
    scales: list[str] = []
    for index, block in enumerate(blocks):
        assert isinstance(block, ConditionalCoupling)
        c1, c2 = names[2 * index : 2 * index + 2]
        for net, condition in ((block.net2, c2), (block.net1, c1)):
            # The half that was transformed is read by the other subnet next.
            first, scale = _coupled(graph, turn, net, condition, block.clamp, reads=second, half=first)
            first, second = second, first
            scales.append(scale)
    axis = graph.constant([1])
    squares = [turn.add("ReduceSum", turn.add("Mul", z, z), axis, keepdims=0) for z in (first, second)]
    length = turn.add("Mul", turn.add("Add", *squares), graph.constant(0.5))
    log_det = turn.add("ReduceSum", scales[0], axis, keepdims=0)
    for scale in scales[1:]:
        log_det = turn.add("Add", log_det, turn.add("ReduceSum", scale, axis, keepdims=0))
    constant = graph.constant(head.in_dim / 2 * math.log(2 * math.pi))
    out = turn.add("Sub", turn.add("Sub", log_det, length), constant)
    body = helper.make_graph(
        turn.nodes,
        f"{turn.prefix}likelihood",
        [
            helper.make_tensor_value_info(taken[i], TensorProto.FLOAT, [c.shape[1]])
            for i, c in scanned.items()
        ],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["samples"])],
    )
    values = [graph.constant(c) for c in scanned.values()]
    return graph.add("Scan", *values, body=body, num_scan_inputs=len(values), scan_output_axes=[1])


def _coupled(
    graph: _Graph,
    turn: _Graph,
    net: CouplingSubnet,
    condition: str,
    clamp: float,
    *,
    reads: str,
    half: str,
) -> tuple[str, str]:
    """What [`CouplingSubnet.scale_and_shift`][gsmflow.flow.coupling.CouplingSubnet.scale_and_shift] does,
    before the sum over alpha(s).

    Parameters
    ----------
    graph : _Graph
        Takes the constants.
    turn : _Graph
        Takes the nodes.
    """
    hidden = turn.add("Gemm", reads, graph.constant(net.x_weight), condition, transB=1)
    hidden = turn.add("LeakyRelu", hidden, alpha=LEAK)
    width = len(net.out_bias) // 2
    s, t = (
        turn.add("Gemm", hidden, graph.constant(weight), graph.constant(bias), transB=1)
        for weight, bias in zip(net.out_weight.split(width), net.out_bias.split(width), strict=True)
    )
    bent = turn.add("Atan", turn.add("Div", s, graph.constant(clamp)))
    scale = turn.add("Mul", bent, graph.constant(ATAN_SLOPE * clamp))
    return turn.add("Add", turn.add("Mul", half, turn.add("Exp", scale)), t), scale


def _largest(graph: _Graph, x: str) -> str:
    """The largest of each row: (samples, 1). ReduceMax means other things in later opsets."""
    from onnx import helper

    name = f"{graph.prefix}largest_{len(graph.nodes)}"
    graph.nodes.append(helper.make_node("TopK", [x, graph.constant([1])], [name, f"{name}_at"], axis=1))
    return name


def _represented(graph: _Graph, x: str, representation: Representation) -> str:
    """What [`Representation`][gsmflow.heads.representation.Representation] does."""
    states = [x]
    for weight, bias, activation in representation.layers:
        x = graph.add("Gemm", states[-1], graph.constant(weight), graph.constant(bias), transB=1)
        states.append(_activated(graph, x, activation))
    return graph.add("Concat", *(states[index] for index in representation.kept), axis=1)


def _activated(graph: _Graph, x: str, activation: str) -> str:
    if activation == "leaky_relu":
        return graph.add("LeakyRelu", x, alpha=LEAK)
    kinds = {"none": "Identity", "relu": "Relu", "sigmoid": "Sigmoid", "cos": "Cos"}
    return graph.add(kinds[activation], x)


def _unit(graph: _Graph, x: str, dim: int) -> str:
    """Rows (samples, dim) of length 1."""
    squares = graph.add("MatMul", graph.add("Mul", x, x), graph.constant(np.ones((dim, 1))))
    return graph.add("Div", x, graph.add("Max", graph.add("Sqrt", squares), graph.constant(1e-12)))
