"""The authors' own checkpoints: the ``.tar`` files of their published program, read without running them.

Such a file is a pickle of a dictionary: ``it``, ``random_seed``, ``log``, and the weights of the flow
(``state_dict_1``, a FrEIA graph) and of relative positioning (``state_dict_2``). It is read with PyTorch's
restricted unpickler, which builds tensors, numbers and texts, and runs no code from the file. But that
unpickler allocates whatever size a file asks for (a ``bytearray``, a tensor by its shape alone), unpacks
compressed parts, and accepts tensors that repeat one number a trillion times. So the file is checked before
it is unpickled, and the tensors are checked before they are copied.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.files.guard import check_unpacked, first_bytes
from gsmflow.flow.model import FlowSizes

# FrEIA called subnets s1 and s2 then, and calls them subnet1 and subnet2 now. All nodes of the graph are
# numbered, also those without weights.
_SUBNET = re.compile(r"cinn\.module_list\.(\d+)\.(?:s|subnet)([12])\.([02])\.(weight|bias)")
_POSITIONING = re.compile(r"individuals\.(\d+)\.(vertice|fc\.weight|fc\.bias)")
# FrEIA of that time stored the activations of the last batch as buffers, so they were saved too.
_LEFT_OVER = re.compile(r"cinn\.(tmp_var_\d+|module_list\.\d+\.(perm|perm_inv))")
# All that a model's state dict needs. The size of each tensor is that of its storage in the file.
_MAKERS = re.compile(r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)|torch \w+Storage")
# Opcodes that name functions and that PyTorch's own writer does not use.
_OTHER_NAMES = ("INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4")
_PICKLED = (
    1 << 20
)  # most bytes of the pickle without the weights; those of the published program take ten thousand
_RECORDS = 10_000  # most records of an archive; those of the published program have about a hundred
_OLD_PICKLES = (
    5  # pickles in a file of the older format: three of the format, the dictionary, the names of storages
)


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
        _look_over(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (
        Exception
    ) as error:  # errors of the unpickler, the archive and the tensors; all mean a damaged file
        reason = str(error).partition("\n")[0][:120]
        raise InputError(
            f"{path}: not loaded: it is damaged, or holds other objects than tensors, numbers and texts, which could "
            f"run code ({reason})"
        ) from None
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path}: holds a {type(content).__name__}, expected a checkpoint of the published program"
        )
    check_unpacked(path, sum(_sizes(content)))
    return content


def _look_over(path: Path) -> None:
    """Refuse a file that unpacks to too many bytes, or whose pickle builds anything but tensors, numbers and texts.

    Raises
    ------
    InputError
        The file is refused for one of these reasons.
    """
    if first_bytes(path, 4) != b"PK\3\4":  # the way PyTorch distinguishes archives from older files
        with open(path, "rb") as file:
            for _ in range(_OLD_PICKLES):
                _check_pickle(path, file)
        return
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        if len(records) > _RECORDS:
            raise InputError(
                f"{path}: an archive of {len(records)} records, more than the {_RECORDS} allowed; it is no "
                "checkpoint of the published program"
            )
        check_unpacked(path, sum(record.file_size for record in records))
        for record in records:
            if record.filename.lower().endswith("/data.pkl"):  # PyTorch accepts each of these names
                with archive.open(record) as file:
                    _check_pickle(path, file)


def _check_pickle(path: Path, file: IO[bytes]) -> None:
    """Read one pickle to its end without executing it.

    Raises
    ------
    InputError
        It is too long, or builds something that a checkpoint does not need.
    ValueError
        It is none.
    """
    start = file.tell()
    for code, argument, _ in pickletools.genops(file):
        if file.tell() - start > _PICKLED:
            raise InputError(
                f"{path}: more than {_PICKLED} bytes beside the weights; it is no checkpoint of the published program"
            )
        named = str(argument) if code.name == "GLOBAL" else code.name
        if named in _OTHER_NAMES or (code.name == "GLOBAL" and not _MAKERS.fullmatch(named)):
            raise InputError(
                f"{path}: not loaded: it holds other objects than tensors, numbers and texts, which could run code "
                f"({named})"
            )


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
                reads = (
                    layers[node, other, "2", "weight"].shape[0] // 2
                )  # the half that the other subnet computes
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
