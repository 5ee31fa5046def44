"""Classifying by the flow's own likelihood, without synthesis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gsmflow.compute.activation import LEAK
from gsmflow.flow.coupling import ATAN_SLOPE, ConditionalCoupling, CouplingSubnet
from gsmflow.flow.model import GSMFlow
from gsmflow.heads.graph import Graph
from gsmflow.heads.linear import LinearHead


@dataclass(frozen=True)
class LikelihoodHead:
    """The logit of class c is log p(x | c) in nats under the flow; with equal priors the Bayes classifier.

    Parameters
    ----------
    model : GSMFlow
        The trained flow.
    semantics : Tensor
        (C, A) class vectors.
    clamp : float
        Bound c of the soft clamp on log-scales.
    """

    kind: ClassVar[str] = "likelihood"
    """Name of this kind of heads in run folders."""

    model: GSMFlow
    semantics: Tensor
    clamp: float

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        return len(self.semantics)

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features."""
        return self.model.flow.dim

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        return self.semantics.device

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 log-likelihoods of transformed features (N, D)."""
        return self.model.log_likelihood(features.float(), self.semantics)

    def graph(self, graph: Graph, x: str) -> str:
        """The logits as nodes of an ONNX graph: a loop over the classes (``Scan``), one turn for each.

        What depends on the class alone is computed here and stored as constants.
        """
        from onnx import TensorProto, helper

        blocks: list[Any] = list(self.model.flow.blocks)
        with torch.no_grad():
            pairs = self.model.flow.condition(self.model.positioning(self.semantics))
        conditions = [c for pair in pairs for c in pair]
        turn = Graph(f"{graph.prefix}class/")
        # A subnet that does not see the semantics has the same condition in every turn.
        scanned = {index: c for index, c in enumerate(conditions) if len(c) == self.classes}
        taken = {index: f"{turn.prefix}condition_{index}" for index in scanned}
        names = [taken[i] if i in taken else graph.constant(c[0]) for i, c in enumerate(conditions)]
        dims, half = list(range(self.in_dim)), blocks[0].split[0]
        first, second = (
            graph.add("Gather", x, graph.constant(some), axis=1) for some in (dims[:half], dims[half:])
        )
        scales: list[str] = []
        for index, block in enumerate(blocks):
            assert isinstance(block, ConditionalCoupling)
            c1, c2 = names[2 * index : 2 * index + 2]
            for net, condition in ((block.net2, c2), (block.net1, c1)):
                # The next subnet reads the half that was transformed.
                first, scale = _coupled(graph, turn, net, condition, block.clamp, reads=second, half=first)
                first, second = second, first
                scales.append(scale)
        axis = graph.constant([1])
        squares = [turn.add("ReduceSum", turn.add("Mul", z, z), axis, keepdims=0) for z in (first, second)]
        length = turn.add("Mul", turn.add("Add", *squares), graph.constant(0.5))
        log_det = turn.add("ReduceSum", scales[0], axis, keepdims=0)
        for scale in scales[1:]:
            log_det = turn.add("Add", log_det, turn.add("ReduceSum", scale, axis, keepdims=0))
        constant = graph.constant(self.in_dim / 2 * math.log(2 * math.pi))
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

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.heads.likelihood.LikelihoodHead.from_state] rebuilds the same
        head.
        """
        weights = {name: tensor.cpu() for name, tensor in self.model.state_dict().items()}
        return weights | {
            "semantics": self.semantics.cpu(),
            "clamp": torch.tensor(self.clamp, dtype=torch.float64),
        }

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> LikelihoodHead:
        """Inverse of [`state`][gsmflow.heads.likelihood.LikelihoodHead.state].

        Raises
        ------
        KeyError
            A tensor is missing.
        """
        clamp = float(state["clamp"])
        weights = {name: t for name, t in state.items() if name not in ("semantics", "clamp")}
        return LikelihoodHead(GSMFlow.from_state(weights, clamp), state["semantics"], clamp)


@dataclass(frozen=True)
class GatedHead:
    """The flow's likelihood separates seen from unseen, and a softmax head on either side chooses the class.

    With g = max over seen c of log p(x | c) - max over unseen c of log p(x | c), and log-probabilities of
    the two heads relative to their largest::

        logit_c = g + log p_seen(c | x) - max      for seen c
        logit_c =     log p_unseen(c | x) - max    for unseen c

    so that the best seen logit minus the best unseen one is g, and a bias on unseen classes moves the gate.

    Parameters
    ----------
    gate : LikelihoodHead
        Log-likelihoods of all C classes under the flow.
    seen : Tensor
        (S,) indices of the seen classes, in the order of the logits of `seen_head`.
    unseen : Tensor
        (U,) indices of the unseen classes, in the order of the logits of `unseen_head`.
    seen_head : LinearHead
        Softmax head over the S seen classes.
    unseen_head : LinearHead
        Softmax head over the U unseen classes.
    """

    kind: ClassVar[str] = "gated"
    """Name of this kind of heads in run folders."""

    gate: LikelihoodHead
    seen: Tensor
    unseen: Tensor
    seen_head: LinearHead
    unseen_head: LinearHead

    @property
    def classes(self) -> int:
        """C, the number of logits."""
        return self.gate.classes

    @property
    def in_dim(self) -> int:
        """D, dimensions of the features."""
        return self.gate.in_dim

    @property
    def device(self) -> torch.device:
        """The device that features must be on."""
        return self.gate.device

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 logits of transformed features (N, D)."""
        likelihood = self.gate.logits(features)
        margin = likelihood[:, self.seen].amax(dim=1) - likelihood[:, self.unseen].amax(dim=1)
        out = torch.empty_like(likelihood)
        of_seen, of_unseen = self.seen_head.logits(features), self.unseen_head.logits(features)
        out[:, self.seen] = of_seen - of_seen.amax(dim=1, keepdim=True) + margin[:, None]
        out[:, self.unseen] = of_unseen - of_unseen.amax(dim=1, keepdim=True)
        return out

    def graph(self, graph: Graph, x: str) -> str:
        """The logits as nodes of an ONNX graph."""
        likelihood = self.gate.graph(graph, x)
        seen, unseen = (
            graph.largest(graph.add("Gather", likelihood, graph.constant(classes), axis=1))
            for classes in (self.seen, self.unseen)
        )
        of_seen, of_unseen = (head.graph(graph, x) for head in (self.seen_head, self.unseen_head))
        of_seen = graph.add("Sub", of_seen, graph.largest(of_seen))
        of_seen = graph.add("Add", of_seen, graph.add("Sub", seen, unseen))
        of_unseen = graph.add("Sub", of_unseen, graph.largest(of_unseen))
        side_by_side = graph.add("Concat", of_seen, of_unseen, axis=1)
        order = torch.cat((self.seen, self.unseen)).argsort()
        return graph.add("Gather", side_by_side, graph.constant(order), axis=1)

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.heads.likelihood.GatedHead.from_state] rebuilds the same head."""
        parts = {"gate": self.gate, "seen": self.seen_head, "unseen": self.unseen_head}
        tensors = {f"{name}.{n}": t for name, part in parts.items() for n, t in part.state().items()}
        return tensors | {
            "seen_classes": self.seen.cpu().clone(),
            "unseen_classes": self.unseen.cpu().clone(),
        }

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> GatedHead:
        """Inverse of [`state`][gsmflow.heads.likelihood.GatedHead.state].

        Raises
        ------
        KeyError
            A tensor is missing.
        """

        def part(name: str) -> dict[str, Tensor]:
            return {n.removeprefix(name): t for n, t in state.items() if n.startswith(name)}

        return GatedHead(
            LikelihoodHead.from_state(part("gate.")),
            state["seen_classes"],
            state["unseen_classes"],
            LinearHead.from_state(part("seen.")),
            LinearHead.from_state(part("unseen.")),
        )


def _coupled(
    graph: Graph,
    turn: Graph,
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
    graph : Graph
        Takes the constants.
    turn : Graph
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
