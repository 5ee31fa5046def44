"""SDGZSL (Chen et al., ICCV 2021): a conditional VAE, and features divided into a semantic and another part.

The VAE of [`gsmflow.methods.workings.cvae`][gsmflow.methods.workings.cvae] reconstructs a feature x as x^. The method
adds an auto-encoder for both x and x^, with a code of two parts, [h_s, h_n] = lrelu(W x + b)::

    L_rec = mean (x - D([h_s, h_n]))^2
    L_R   = mean over samples of  sum_s (R(h_s, a_s) - [s = y])^2              R in (0, 1), over the seen classes s
    L_TC  = mean log( T(h) / (1 - T(h)) )                                      h = [h_s, h_n]
    L     = L_VAE + L_rec + lambda_R L_R + lambda_TC L_TC

The relation network R makes h_s agree with the semantics of its class and of no other class. T is a discriminator
between [h_s, h_n] and [h_s, h_n of another sample]. Its log-odds estimate the log-ratio of p(h_s, h_n) to
p(h_s) p(h_n), whose mean is the total correlation. T is trained by cross-entropy, in every step after the other
networks. A head sees h_s, of real features and of synthetic ones.

As in the paper: all losses, on x and x^; a code of one layer; a head on h_s. Different:

- T has a hidden layer. The published linear one cannot see dependence, because both of its inputs have the same means.
- L_TC has the log-odds of T, as in the paper; the published program has the difference of two sigmoids.
- R compares with all seen classes, not only with those of the batch. There is no dropout, no batch normalization and no
  warm-up of the weights; sizes are for two cores.
- The program's scripts train for 220 to 600 epochs of batches of 64 and choose weights, rates and seeds for each data
  set. In units of features of variance 1, L_R has about 0.5 to 30 times the weight of L_rec there (an estimate, for
  features in [0, 1] with a variance of 0.015); here it has a tenth. What a longer training with a larger weight changes
  is in ``docs/methods.md``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gsmflow.compute.activation import LEAK
from gsmflow.compute.randomness import stream
from gsmflow.heads.representation import Representation
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.sdgzsl import SDGZSLOptions
from gsmflow.methods.workings.ce_gzsl import Comparator
from gsmflow.methods.workings.cvae import CVAELearner, kl_to_standard_normal
from gsmflow.methods.workings.networks import linear, mlp
from gsmflow.methods.workings.trained import descend


def relation_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """L_R of log-odds (B, S) of relations and labels (B,)."""
    wanted = F.one_hot(labels, scores.shape[1]).to(scores.dtype)
    return (scores.sigmoid() - wanted).square().sum(dim=1).mean()


def telling_apart(joint: Tensor, shuffled: Tensor) -> Tensor:
    """The cross-entropy of the log-odds of true codes (B,) and of shuffled codes (B,)."""
    return F.softplus(-joint).mean() + F.softplus(shuffled).mean()


class SDGZSLLearner(CVAELearner):
    """SDGZSL in training."""

    options: SDGZSLOptions  # type: ignore[assignment]

    def __init__(self, data: TrainingData, options: SDGZSLOptions, seed: int) -> None:
        super().__init__(data, options, seed)
        hidden, code = options.hidden, options.code
        self.parting = self.add("parting", mlp([self.dim, 2 * code], torch.nn.LeakyReLU(LEAK)))
        self.joining = self.add("joining", mlp([2 * code, hidden, self.dim]))
        self.relation = self.add("relation", Comparator(code, self.semantic_dim, options.relation_hidden))
        self.telling = self.add("telling", mlp([2 * code, options.relation_hidden, 1]))
        trained = [self.encoder, self.decoder, self.parting, self.joining, self.relation]
        self.adam = self.optimize("adam", trained, options.learning_rate)
        self.telling_adam = self.optimize("telling", [self.telling], options.learning_rate)

    def step(self, index: int) -> Losses:
        """One step of Adam on L, and one of the discriminator."""
        o, (x, rows) = self.options, self.batch(index)
        mean, log_variance = self.encoder(x, self.a, rows).chunk(2, dim=1)
        z = mean + (log_variance / 2).exp() * self.noise(len(x), "latent", index)
        again = self.decoder(z, self.a, rows)
        vae = (x - again).square().sum(dim=1).mean()
        divergence = kl_to_standard_normal(mean, log_variance).mean()
        codes = [self.parting(x), self.parting(again)]
        rebuilt = sum((F.mse_loss(self.joining(h), x) for h in codes), x.new_zeros(()))
        relation = sum(
            (relation_loss(self.relation(h[:, : o.code], self.a), rows) for h in codes), x.new_zeros(())
        )
        correlation = sum((self.telling(h).mean() for h in codes), x.new_zeros(()))
        loss = vae + o.beta * divergence + rebuilt
        loss = loss + o.relation_weight * relation + o.correlation_weight * correlation
        shown = descend(
            self.adam,
            loss,
            reconstruction=vae,
            divergence=divergence,
            code=rebuilt,
            relation=relation,
            correlation=correlation,
        )
        return {**shown, **self._teach([h.detach() for h in codes], index)}

    def _teach(self, codes: list[Tensor], index: int) -> Losses:
        """One step of the discriminator on codes (B, 2 K) of real and of reconstructed features."""
        loss = codes[0].new_zeros(())
        for turn, h in enumerate(codes):
            order = torch.randperm(len(h), generator=stream("cpu", self.seed, "shuffle", turn, index)).to(
                h.device
            )
            own, other = h[:, : self.options.code], h[:, self.options.code :]
            shuffled = torch.cat((own, other[order]), dim=1)
            loss = loss + telling_apart(self.telling(h)[:, 0], self.telling(shuffled)[:, 0])
        return descend(self.telling_adam, loss, telling=loss)

    @torch.no_grad()
    def representation(self) -> Representation:
        """h_s."""
        weight, bias = linear(self.parting, 0)
        code = self.options.code
        return Representation(((weight[:code] / self.units.spread, bias[:code].clone(), "leaky_relu"),), (1,))

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """h_s, (N, K), without random draws."""
        return self.representation()(features)
