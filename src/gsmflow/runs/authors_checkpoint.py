"""The authors' own checkpoints: the ``.tar`` files of their published program, read without running them.

Such a file is a pickle of a dictionary: ``it``, ``random_seed``, ``log``, and the weights of the flow
(``state_dict_1``, a FrEIA graph) and of relative positioning (``state_dict_2``). It is read with PyTorch's
restricted unpickler, which builds tensors, numbers and texts, and runs no code from the file. But that
unpickler allocates whatever size a file asks for (a ``bytearray``, a tensor by its shape alone), unpacks
compressed parts, and accepts tensors that repeat one number a trillion times. So the file is checked before
it is unpickled, and the tensors are checked before they are copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.files.guard import check_unpacked
from gsmflow.flow.model import FlowSizes
from gsmflow.runs.checkpoint_pickle import look_over, not_loaded

# FrEIA called subnets s1 and s2 then, and calls them subnet1 and subnet2 now. All nodes of the graph are
# numbered, also those without weights.
_SUBNET = re.compile(r"cinn\.module_list\.(\d+)\.(?:s|subnet)([12])\.([02])\.(weight|bias)")
_POSITIONING = re.compile(r"individuals\.(\d+)\.(vertice|fc\.weight|fc\.bias)")
# FrEIA of that time stored the activations of the last batch as buffers, so they were saved too.
_LEFT_OVER = re.compile(r"cinn\.(tmp_var_\d+|module_list\.\d+\.(perm|perm_inv))")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Parameters
    ----------
    weights : dict[str, Tensor]
        float32 weights by the names of [`GSMFlow`][gsmflow.flow.model.GSMFlow]'s state.
    sizes : FlowSizes
        Sizes of the flow.
    semantic_dim : int
        A, dimensions of the semantics.
    iteration : int
        The step of the training at which it was saved.
    seed : int
        The seed of the training.
    chosen_on_test : bool
        Whether the iteration was the best of the training on the test set. The program names such files
        ``Best_model_...`` and all others ``Iter_...``; a file of any other name counts as chosen on the test
        set.
    """

    weights: dict[str, Tensor]
    sizes: FlowSizes
    semantic_dim: int
    iteration: int
    seed: int
    chosen_on_test: bool


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of the authors' program.

    Raises
    ------
    InputError
        The file is missing or damaged, holds anything but tensors, numbers and texts, unpacks to more than
        the limit, or is of another program.
    """
    content = _unpickled(path)
    try:
        flow, positioning = content["state_dict_1"], content["state_dict_2"]
        iteration, seed = int(content["it"]), int(content["random_seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: {error} is missing, so it is no checkpoint of the published program"
        ) from None
    weights = _flow(path, flow) | _positioning(path, positioning)
    return Checkpoint(
        weights=weights,
        sizes=FlowSizes.of(weights),
        semantic_dim=weights["positioning.anchors"].shape[1],
        iteration=iteration,
        seed=seed,
        chosen_on_test=not path.name.startswith("Iter_"),
    )


def _unpickled(path: Path) -> Mapping[str, Any]:
    try:
        look_over(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except (
        Exception
    ) as error:  # errors of the unpickler, the archive and the tensors; all mean a damaged file
        raise not_loaded(path, error) from None
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path}: holds a {type(content).__name__}, expected a checkpoint of the published program"
        )
    check_unpacked(path, sum(_sizes(content)))
    return content


def _sizes(content: Mapping[str, Any]) -> Iterator[int]:
    """Bytes of each tensor in float32; they may be more than the file stores."""
    for part in content.values():
        for each in part.values() if isinstance(part, Mapping) else ():
            if isinstance(each, Tensor):
                yield 4 * each.numel()


def _tensors(path: Path, part: Any, name: str) -> Mapping[str, Tensor]:
    if not isinstance(part, Mapping) or not all(isinstance(tensor, Tensor) for tensor in part.values()):
        raise InputError(
            f"{path}: '{name}' holds no weights, so it is no checkpoint of the published program"
        )
    return part


def _checked(path: Path, name: str, tensor: Tensor) -> Tensor:
    """A matrix of weights, or a vector of biases or of an anchor, in float32."""
    dims = 2 if name.endswith("weight") else 1
    if tensor.ndim != dims or not tensor.is_floating_point():
        raise InputError(
            f"{path}: '{name}' is {tensor.dtype} of shape {tuple(tensor.shape)}, expected real numbers in {dims} "
            "dimensions; the file is damaged"
        )
    tensor = tensor.float()
    if not tensor.isfinite().all():
        raise InputError(f"{path}: '{name}' holds values that are not finite; use a checkpoint from before")
    return tensor


def _flow(path: Path, part: Any) -> dict[str, Tensor]:
    """The flow's weights under this package's names; the first layer W [x, g] of each subnet is split into
    its two parts.
    """
    layers: dict[tuple[int, str, str, str], Tensor] = {}
    for name, tensor in _tensors(path, part, "state_dict_1").items():
        match = _SUBNET.fullmatch(name)
        if match:
            layers[int(match[1]), match[2], match[3], match[4]] = _checked(path, name, tensor)
        elif not _LEFT_OVER.fullmatch(name):
            raise InputError(f"{path}: weights '{name}' are of no flow of the published program")
    nodes = sorted({key[0] for key in layers})
    if not nodes:
        raise InputError(f"{path}: 'state_dict_1' holds no coupling blocks")
    weights: dict[str, Tensor] = {}
    try:
        for block, node in enumerate(nodes):
            for net, other in (("1", "2"), ("2", "1")):
                # The half that the other subnet computes
                reads = layers[node, other, "2", "weight"].shape[0] // 2
                first = layers[node, net, "0", "weight"]
                weights |= {
                    f"flow.blocks.{block}.net{net}.{ours}": tensor.contiguous()
                    for ours, tensor in {
                        "x_weight": first[:, :reads],
                        "g_weight": first[:, reads:],
                        "bias": layers[node, net, "0", "bias"],
                        "out_weight": layers[node, net, "2", "weight"],
                        "out_bias": layers[node, net, "2", "bias"],
                    }.items()
                }
    except KeyError as error:
        raise InputError(
            f"{path}: layer {error} of a coupling block is missing; the file is damaged"
        ) from None
    return weights


def _positioning(path: Path, part: Any) -> dict[str, Tensor]:
    """Weights of relative positioning under this package's names."""
    layers: dict[tuple[int, str], Tensor] = {}
    for name, tensor in _tensors(path, part, "state_dict_2").items():
        match = _POSITIONING.fullmatch(name)
        if not match:
            raise InputError(
                f"{path}: weights '{name}' are of no relative positioning of the published program"
            )
        layers[int(match[1]), match[2]] = _checked(path, name, tensor)
    count = len({index for index, _ in layers})
    try:
        weights = {"positioning.anchors": torch.stack([layers[i, "vertice"] for i in range(count)])}
        for i in range(count):
            weights[f"positioning.layers.{i}.weight"] = layers[i, "fc.weight"]
            weights[f"positioning.layers.{i}.bias"] = layers[i, "fc.bias"]
    except (KeyError, RuntimeError) as error:
        raise InputError(
            f"{path}: relative positioning is not complete ({error}); the file is damaged"
        ) from None
    return weights
