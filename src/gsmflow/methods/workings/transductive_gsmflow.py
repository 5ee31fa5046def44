"""GSMFlow in the transductive setting: unlabelled features of unseen classes under the mixture of these classes.

The paper is inductive; this is ours. Its flow has a density for every class, also for one without samples, so
unlabelled features of unseen classes can be learnt from by their likelihood. With U unseen classes of equal weight, a
step adds to the losses of [`gsmflow.methods.workings.gsmflow`][gsmflow.methods.workings.gsmflow]::

    L_u = -1/D mean over x_u of log( 1/U sum_u exp( log p(x~_u | a_u) ) )        x~_u = x_u + pi * eps
    log p(x | a) = log|det dz/dx| - |z|^2 / 2 + const,   z = f(x; g(a))

Its gradient weighs every class by its responsibility for the feature, so this is the M step of EM by gradient
(Dempster et al., 1977), with mixture weights fixed. Before the flow knows how features follow from semantics,
responsibilities would be guesses that confirm themselves: L_u enters when a part of the training is done
(``unlabelled_from``). With the option ``residual``, x_u is taken relative to the regressed mean of each class.

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
    """GSMFlow in the setting that the options ask for."""
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
        """L_u, once it is due."""
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
            None are lent: training was given a problem that does not lend.
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
