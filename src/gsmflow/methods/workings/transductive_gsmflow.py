"""GSMFlow in the transductive setting: it also fits unlabelled features by the mixture of the unseen classes.

The paper is inductive; this extension is our own. The flow has a density for every class, even for one without samples.
So it can learn from unlabelled features of unseen classes by their likelihood. With U unseen classes of equal weight, a
step adds to the losses of [`gsmflow.methods.workings.gsmflow`][gsmflow.methods.workings.gsmflow]::

    L_u = -1/D mean over x_u of log( 1/U sum_u exp( log p(x~_u | a_u) ) )        x~_u = x_u + pi * eps
    log p(x | a) = log|det dz/dx| - |z|^2 / 2 + const,   z = f(x; g(a))

Its gradient weighs every class by its responsibility for the feature. So this is the M step of EM by gradient (Dempster
et al., 1977), with fixed mixture weights. Early in training responsibilities would be guesses that confirm themselves,
so L_u is used only after a part of the training (``unlabelled_from``). With the option ``residual``, x_u is taken
relative to the regressed mean of each class.

Each feature goes through the flow once for every unseen class, so batches of them are small. The weight is in the units
of the flow's own loss, nats a dimension.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gsmflow.flow import perturb
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import Batches, TrainingData
from gsmflow.methods.gsmflow import TransductiveOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner


def learner(data: TrainingData, options: TransductiveOptions, seed: int) -> GSMFlowLearner:
    """A learner for GSMFlow in the setting of the options."""
    return (TransductiveGSMFlowLearner if options.transductive else GSMFlowLearner)(data, options, seed)


class TransductiveGSMFlowLearner(GSMFlowLearner):
    """GSMFlow in training with unlabelled features of unseen classes."""

    options: TransductiveOptions

    def __init__(self, data: TrainingData, options: TransductiveOptions, seed: int) -> None:
        super().__init__(data, options, seed)
        self.recording = None  # a step is not the same in all of the training
        self.unseen_semantics = data.semantics[data.unseen]
        self.index = 0

    def step(self, index: int) -> Losses:
        """One step of Adam on all losses."""
        self.index = index
        return super().step(index)

    def further_losses(self) -> dict[str, tuple[float, Tensor]]:
        """L_u, as soon as it is used."""
        if self.index < self.options.unlabelled_from * self.total_steps:
            return {"loss_unlabelled": (0.0, torch.zeros((), device=self.data.device))}
        return {
            "loss_unlabelled": (
                self.options.unlabelled_weight,
                self.mixture_loss(self.unlabelled(self.index)),
            )
        }

    def unlabelled(self, index: int) -> Tensor:
        """The unlabelled features of step `index`, perturbed, (B, D).

        Raises
        ------
        ValueError
            The problem of the training has no such features.
        """
        lent = self.data.lent
        if lent is None or not len(lent.features):
            raise ValueError("data: no unlabelled features are lent, expected those of unseen classes")
        batches = Batches(len(lent.features), self.options.unlabelled_batch, self.seed, self.data.device)
        features = lent.features.index_select(0, batches[index])
        o = self.options
        return perturb(features, o.perturbation, o.perturbation_dropout, self.seed, "unlabelled", index)

    def mixture_loss(self, features: Tensor) -> Tensor:
        """L_u without its constant, of features (B, D)."""
        semantics = self.unseen_semantics
        count, classes, dim = len(features), len(semantics), features.shape[1]
        rows = torch.arange(classes, device=features.device).repeat(count)
        under = features.repeat_interleave(classes, dim=0)
        if self.regression:
            under = under - self.regression(semantics)[rows]
        conditions, _ = self.model.conditions(semantics)
        z, log_det = self.model.flow(under, conditions, rows)
        of_classes = (log_det - z.float().square().sum(dim=1) / 2).view(count, classes)
        return (math.log(classes) - of_classes.logsumexp(dim=1)).mean() / dim
