"""Storing heads as tensors and loading them again. One of the tensors holds the name of the class of heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gsmflow.base.registry import Registry
from gsmflow.heads.base import Head, HeadClass

_KIND = "kind"  # the tensor that holds the name, as UTF-8


def _complaint(name: str, value: Any) -> str:
    if not (isinstance(value, type) and callable(getattr(value, "from_state", None))):
        return "is no class of heads with from_state"
    kind = getattr(value, "kind", None)
    return "" if kind == name else f"has kind = {kind!r}, expected '{name}'"


HEADS: Registry[HeadClass] = Registry(
    "head",
    "gsmflow.heads",
    {
        "kernel": "gsmflow.heads.kernel:KernelHead",
        "linear": "gsmflow.heads.linear:LinearHead",
        "neighbours": "gsmflow.heads.neighbours:NeighbourHead",
        "stack": "gsmflow.heads.stack:StackHead",
        "sum": "gsmflow.heads.sum:SumHead",
        "represented": "gsmflow.heads.representation:RepresentedHead",
        "likelihood": "gsmflow.heads.likelihood:LikelihoodHead",
        "gated": "gsmflow.heads.likelihood:GatedHead",
    },
    _complaint,
)


def register_head(head: HeadClass) -> None:
    """Register a class of heads, so that runs with such heads can be loaded.

    A package registers it by an entry point in the group ``gsmflow.heads`` with the name of the class's ``kind``.

    Raises
    ------
    InputError
        Its kind is taken, or it has no ``from_state``.
    """
    HEADS.register(head.kind, head)


def head_state(head: Head) -> dict[str, Tensor]:
    """The tensors of a head, with its kind among them.

    Raises
    ------
    InputError
        Its kind is not registered, so it could not be loaded again.
    """
    kind = getattr(head, "kind", type(head).__name__)
    HEADS.check_name(kind, f"{type(head).__name__}: register it by gsmflow.heads.register_head")
    name = torch.frombuffer(bytearray(kind.encode()), dtype=torch.uint8)
    return {_KIND: name} | head.state()


def head_from_state(state: Mapping[str, Tensor], origin: str = "head") -> Head:
    """Inverse of [`head_state`][gsmflow.heads.kinds.head_state].

    Runs of version 0.1.0 store no kind; it is recognised by the names of the tensors.

    Raises
    ------
    InputError
        No installed package has heads of that kind.
    KeyError
        A tensor is missing.
    """
    kind = _guess(state)
    if _KIND in state:
        kind = bytes(state[_KIND].flatten().to(torch.uint8).tolist()).decode("utf-8", "replace")
    head = HEADS.find(kind, f"{origin}: install the package it was made with")
    return head.from_state({name: tensor for name, tensor in state.items() if name != _KIND})


def _guess(state: Mapping[str, Tensor]) -> str:
    """The kind of a head that version 0.1.0 stored."""
    if "representation.kept" in state:
        return "represented"
    if "gate.semantics" in state:
        return "gated"
    return "likelihood" if "semantics" in state else "linear"
