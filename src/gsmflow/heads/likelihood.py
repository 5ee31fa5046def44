"""Classifying by the flow's own likelihood, without synthesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gsmflow.flow.model import GSMFlow
from gsmflow.heads.linear import LinearHead


@dataclass(frozen=True)
class LikelihoodHead:
    """The logit of class c is log p(x | c) in nats under the flow; with equal priors the Bayes classifier.

    Parameters
    ----------
    semantics : Tensor
        (C, A) of the classes.
    """

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
        """Where features have to lie."""
        return self.semantics.device

    def logits(self, features: Tensor) -> Tensor:
        """(N, C) float32 log-likelihoods of transformed features (N, D)."""
        return self.model.log_likelihood(features.float(), self.semantics)

    def state(self) -> dict[str, Tensor]:
        """Tensors that [`from_state`][gsmflow.heads.likelihood.LikelihoodHead.from_state] makes the same head of."""
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
    """The flow's likelihood tells seen from unseen, one softmax head on each side tells the class.

    With g = max over seen c of log p(x | c) - max over unseen c of log p(x | c), and log-probabilities of
    the two heads relative to their largest::

        logit_c = g + log p_seen(c | x) - max      for seen c
        logit_c =     log p_unseen(c | x) - max    for unseen c

    so that the best seen logit minus the best unseen one is g, and a bias on unseen classes moves the gate.

    Parameters
    ----------
    seen, unseen : Tensor
        (S,) and (U,) class indices, in the order of the two heads' logits.
    """

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
        """Where features have to lie."""
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

    def state(self) -> dict[str, Tensor]:
        """Tensors that [`from_state`][gsmflow.heads.likelihood.GatedHead.from_state] makes the same head of."""
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
