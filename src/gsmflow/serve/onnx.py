"""A run's classifier as an ONNX graph: raw features (N, D) in, class probabilities (N, C) out.

Every head appends its own nodes (see [`GraphHead`][gsmflow.heads.base.GraphHead]), so exporting needs nothing but
the `onnx` package, and what runs the graph needs no PyTorch. Inputs and outputs:

- ``features``: float32 (samples, D), as the run was trained on; or, where the backbone of the
  run is an ONNX file and was to be included, the backbone's own input: float32 pictures (samples, 3, H, W),
  resized, cropped and normalized as ``preprocessing`` in the metadata says.
- ``probabilities``: float32 (samples, C), rows summing to 1; ``logits``: float32 (samples, C), bias included,
  not yet divided by the temperature.

The model's metadata hold ``classes`` (JSON list, in the order of the columns), ``unseen`` (JSON list of
indices) and ``gsmflow`` (the version that wrote it).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.version import __version__
from gsmflow.files.atomic import folder_for, write_bytes
from gsmflow.heads.base import GraphHead
from gsmflow.heads.classifier import FittedClassifier
from gsmflow.heads.graph import Graph, transformed
from gsmflow.images.backbone import BackboneSpec

_OPSET, _IR = 17, 8  # of 2022: what onnxruntime 1.12 and later run
_OLDEST = 13  # opset in which all nodes used here mean what they mean today
_OUTPUTS = ("probabilities", "logits")


def export(classifier: FittedClassifier, path: Path, backbone: BackboneSpec | None = None) -> None:
    """Write a classifier as an ONNX file.

    Parameters
    ----------
    classifier : FittedClassifier
        What is exported.
    path : Path
        The .onnx file to write.
    backbone : BackboneSpec | None
        Included, so that the graph begins with pictures. It must be an ONNX file. None: the graph begins
        with features.

    Raises
    ------
    InputError
        The head has no graph, the backbone is not an ONNX file or not that of the run, `onnx` is not
        installed, or the file cannot be written.
    """
    if not isinstance(classifier.head, GraphHead):
        raise InputError(
            f"export: heads of kind '{classifier.head.kind}' have no ONNX graph; give {type(classifier.head).__name__} "
            "a method `graph` (docs/extending.md), or serve the run by `gsmflow serve`"
        )
    try:
        from onnx import checker, helper
    except ModuleNotFoundError:
        raise InputError(f"export needs onnx: {installing('onnx')}") from None
    metadata = {
        "classes": json.dumps(list(classifier.classes)),
        "unseen": json.dumps(classifier.unseen.tolist()),
        "gsmflow": __version__,
    }
    if backbone is None:
        model = _classifier(classifier)
    else:
        model = _behind(backbone, classifier)
        assert backbone.preprocessing is not None  # a backbone in a file always has one
        metadata["preprocessing"] = json.dumps(backbone.preprocessing.to_dict())
    helper.set_model_props(model, metadata)
    checker.check_model(model, full_check=True)
    with folder_for(path):
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

    graph, dim = Graph(prefix), classifier.transform.in_dim
    x = f"{prefix}features"
    wide = classifier.transform.offset is not None and not prefix  # float32 would lose digits of raw features
    taken = helper.make_tensor_value_info(
        x,
        TensorProto.DOUBLE if wide else TensorProto.FLOAT,
        ["samples", dim, "height", "width"] if maps else ["samples", dim],
    )
    if maps:
        x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    bias = np.zeros(len(classifier.classes), np.float32)
    bias[classifier.unseen] = classifier.bias
    head = classifier.head
    assert isinstance(head, GraphHead)  # the caller has refused others
    x = head.graph(graph, transformed(graph, x, classifier.transform))
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
            f"the backbone of this run is {spec.model} ({spec.kind}), and only one in an ONNX file can be included",
            remedy="leave out `images` and give the graph features",
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
            f"{spec.model}: cannot be joined to the classifier ({reason})", remedy="leave out `images`"
        ) from None


def _opset(model: Any) -> int:
    return next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
