"""A weighted sum of heads, each with its own transformation of the raw features (stacking: Wolpert, Neural Networks
1992)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.data.transform import FeatureTransform
from gsmflow.heads.base import GraphHead, Head
from gsmflow.heads.graph import Graph, transformed
from gsmflow.heads.kinds import head_from_state, head_state


@dataclass(frozen=True)
class StackMember:
    """One head of a stack.

    Parameters
    ----------
    label : str
        Its name.
    factor : float
        Its logits are multiplied by this: the weight of the member over the spread of its logits.
    transform : FeatureTransform
        Turns raw features into those that the head takes.
    head : Head
        A classifier of the transformed features.
    """

    label: str
    factor: float
    transform: FeatureTransform
    head: Head


@dataclass(frozen=True)
class StackHead:
    """The logit of class c is the sum over members m of factor_m * logit_m,c of their own transformed features.

    Parameters
    ----------
    members : tuple[StackMember, ...]
        At least one; all over the same C classes and the same D raw features.
    """

    kind: ClassVar[str] = "stack"

    members: tuple[StackMember, ...]

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        return self.members[0].head.classes

    @property
    def in_dim(self) -> int:
        """D, dimensions of the raw features."""
        return self.members[0].transform.in_dim

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        return self.members[0].head.device

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of raw features (N, D)."""
        raw = features.float().cpu().numpy()
        total = torch.zeros(len(features), self.classes, device=self.device)
        for member in self.members:
            rows = torch.from_numpy(member.transform(raw)).to(member.head.device)
            total.add_(member.head.logits(rows), alpha=member.factor)
        return total

    def graph(self, graph: Graph, x: str) -> str:
        """The logits as nodes of an ONNX graph.

        Raises
        ------
        InputError
            A member has no graph.
        """
        total = ""
        for member in self.members:
            if not isinstance(member.head, GraphHead):
                raise InputError(f"member {member.label}: its head ({member.head.kind}) has no ONNX graph")
            logits = member.head.graph(graph, transformed(graph, x, member.transform))
            logits = graph.add("Mul", logits, graph.constant(member.factor))
            total = graph.add("Add", total, logits) if total else logits
        return total

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.heads.stack.StackHead.from_state] rebuilds the same head."""
        state: dict[str, Tensor] = {}
        for index, member in enumerate(self.members):
            name = torch.frombuffer(bytearray(member.label.encode()), dtype=torch.uint8)
            parts = {"label": name, "factor": torch.tensor(member.factor, dtype=torch.float64)}
            parts |= {f"transform.{n}": tensor for n, tensor in member.transform.state().items()}
            parts |= {f"head.{n}": tensor for n, tensor in head_state(member.head).items()}
            state |= {f"member.{index}.{n}": tensor for n, tensor in parts.items()}
        return state

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> StackHead:
        """Inverse of [`state`][gsmflow.heads.stack.StackHead.state].

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        members = []
        while any(name.startswith(f"member.{len(members)}.") for name in state):
            own = _part(state, f"member.{len(members)}.")
            label = bytes(own["label"].to(torch.uint8).tolist()).decode("utf-8", "replace")
            members.append(
                StackMember(
                    label,
                    float(own["factor"]),
                    FeatureTransform.from_state(_part(own, "transform.")),
                    head_from_state(_part(own, "head."), label),
                )
            )
        if not members:
            raise KeyError("member.0.label")
        return StackHead(tuple(members))


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, by their names without it."""
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
