"""IZF, invertible zero-shot flow (Shen et al., ECCV 2020): a flow from features to a semantic and another factor.

An invertible flow f, not conditional, maps a feature x of a class with semantic factor c, K numbers, to [c^, z]::

    L_flow = ( |c^ - c|^2 / 2 + |z|^2 / 2 - log|det df/dx| ) / D         maximum likelihood, without its constant
    L_C    = | f^-1([c_s, 0]) - mean feature of s |^2 / D                over all seen classes s: centralizing
    L_iMMD = -MMD^2(x, f^-1([c_u, z~]))                                  u any unseen class, z~ ~ N(0, I)
    L      = L_flow + lambda_C L_C + lambda_MMD L_iMMD

The last term pushes synthetic features of unseen classes away from real features of seen classes, against the
bias towards seen classes. MMD is the maximum mean discrepancy with a Gaussian kernel. Training uses the semantics of
unseen classes, not their images.

As in the paper: the factorization, the three losses, and the classifier trained on synthetic features. Different:

- c is not the semantics themselves, which may have more dimensions than features: it is their K principal
  components over the seen classes, K at most half of D, scaled so that a component's variance is `separation`^2 on
  average (the prior's is 1).
- Couplings transform both halves in each block ([`ConditionalFlow`][gsmflow.flow.flow.ConditionalFlow],
  without a condition), and there are no permutations between them.
- Synthesis draws the semantic factor from its prior N(c, I), as in the likelihood.
- There is no naive Bayes classifier on c^: the head is the same as for all generators here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gsmflow.compute.randomness import stream
from gsmflow.flow import ConditionalFlow
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.izf import IZFOptions
from gsmflow.methods.workings.trained import ConditionalPeer, descend


def squared_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """MMD^2 of samples (B, D) and (M, D) with the kernel exp(-|x - y|^2 / (2 w^2)), biased estimate.

    2 w^2 is the mean squared distance between samples of x and samples of y, without a gradient.
    """
    with torch.no_grad():
        width = (
            x.square().sum(dim=1).mean() + y.square().sum(dim=1).mean() - 2 * x.mean(dim=0) @ y.mean(dim=0)
        )

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)[None] - 2 * a @ b.T
        return (-squares.clamp(min=0) / width.clamp(min=1e-12)).exp().mean()

    return kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)


class IZFLearner(ConditionalPeer):
    """IZF in training."""

    def __init__(self, data: TrainingData, options: IZFOptions, seed: int) -> None:
        super().__init__(data, options.batch_size, options.epochs, seed)
        self.options, self.noise_dim = options, self.dim
        most = min(options.factor, self.semantic_dim, max(1, len(data.seen) - 1), self.dim // 2)
        axes = torch.linalg.svd(self.a.double().cpu(), full_matrices=False)[2][:most]
        axes = axes * axes.gather(1, axes.abs().argmax(dim=1, keepdim=True)).sign()  # signs are arbitrary
        self.axes = axes.float().to(data.device)
        deviation = (self.a @ self.axes.T).square().mean().sqrt()
        self.scale = options.separation / deviation.clamp(min=1e-12)
        self.means = self.units.features(data.class_means())
        self.flow = ConditionalFlow(self.dim, 0, blocks=options.blocks, hidden=options.hidden)
        self.flow.reset(stream("cpu", seed, "flow"))
        self.networks["flow"] = self.flow.to(data.device)
        self.adam = self.optimize(
            "adam", [self.flow], options.learning_rate, (0.9, 0.999), options.weight_decay
        )
        self.priors = self.prior(self.a)
        self.unseen_priors = self.prior(self.units.semantics(data.semantics[data.unseen]))

    def prior(self, semantics: Tensor) -> Tensor:
        """[c, 0], the mean (C, D) of the prior, for semantics (C, A) in units."""
        factor = semantics @ self.axes.T * self.scale
        return F.pad(factor, (0, self.dim - factor.shape[1]))

    def step(self, index: int) -> Losses:
        """One step of Adam on L."""
        o = self.options
        x, rows = self.batch(index)
        none = self.flow.condition(x.new_zeros(1, 0))
        latent, log_det = self.flow(x, none)
        flow = ((latent - self.priors[rows]).square().sum(dim=1) / 2 - log_det).mean() / self.dim
        central = F.mse_loss(self.flow.inverse(self.priors, none)[0], self.means)
        loss, shown = flow + o.central_weight * central, {"flow": flow, "central": central}
        if len(self.unseen_priors):
            chance = stream("cpu", self.seed, "unseen", index)
            drawn = torch.randint(len(self.unseen_priors), (len(x),), generator=chance).to(x.device)
            noise = self.noise(len(x), "unseen noise", index)
            fake = self.flow.inverse(self.unseen_priors[drawn] + noise, none)[0]
            shown["discrepancy"] = squared_discrepancy(x, fake)
            loss = loss - o.discrepancy_weight * shown["discrepancy"]
        return descend(self.adam, loss, **shown)

    def synthesize(self, z: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        """f^-1([c, 0] + z), (B, D)."""
        none = self.flow.condition(z.new_zeros(1, 0))
        return self.flow.inverse(self.prior(semantics)[rows] + z, none)[0]
