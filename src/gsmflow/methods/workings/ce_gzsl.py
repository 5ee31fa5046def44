"""CE-GZSL (Han et al., CVPR 2021): a conditional WGAN-GP and an embedding learned with it by contrastive losses.

Critic and generator as in [`gsmflow.methods.adversarial`][gsmflow.methods.adversarial]. An embedding h =
relu(W x + b), a projection
z = P(h) / |P(h)| and a comparator F(h, a) learn on real features, with the critic::

    L_ins = mean -log( exp(z_i z_j / tau) / (exp(z_i z_j / tau) + sum_k exp(z_i z_k / tau)) )
            over pairs i, j of one class, k over the samples of other classes
    L_cls = mean -log( exp(F(h, a_y) / tau) / sum_s exp(F(h, a_s) / tau) )     over the seen classes s

    L_G   = -E[D(x~, a)] + w (L_ins + L_cls)      synthetic features; in L_ins the batch's real ones beside them

Features are synthesized as x~ and, like real ones, classified by their embedding h. Published: batches of thousands,
2048-d embeddings, and w = 0.001.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gsmflow.compute.activation import LEAK
from gsmflow.compute.layers import UndrawnLinear
from gsmflow.heads.representation import Representation
from gsmflow.learning.learner import Losses
from gsmflow.methods.ce_gzsl import CEGZSLOptions
from gsmflow.methods.workings.adversarial import AdversarialPeer
from gsmflow.methods.workings.networks import linear, mlp
from gsmflow.methods.workings.trained import descend

FAR = -1e4  # a logit with a softmax of 0


class Comparator(nn.Module):
    """F(h, a) = w' lrelu(W_h h + W_a a + b) + c, for all pairs of samples and classes."""

    def __init__(self, embedding: int, semantic_dim: int, hidden: int) -> None:
        super().__init__()
        self.of_embedding = UndrawnLinear(embedding, hidden)
        self.of_semantics = UndrawnLinear(semantic_dim, hidden, bias=False)
        self.score = UndrawnLinear(hidden, 1)

    def forward(self, h: Tensor, semantics: Tensor) -> Tensor:
        """Scores (B, C) of embeddings (B, E) for classes (C, A)."""
        hidden = self.of_embedding(h)[:, None] + self.of_semantics(semantics)[None]
        return self.score(F.leaky_relu(hidden, LEAK))[:, :, 0]


def instance_contrast(z: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """L_ins of unit vectors (B, Z) with labels (B,): mean over the pairs of a sample, then over samples.

    It is 0 if no two samples are of the same class.
    """
    similarity = z @ z.T / temperature
    same = labels[:, None] == labels[None, :]
    others = similarity.masked_fill(same, FAR).logsumexp(dim=1, keepdim=True)
    pairs = same.float().fill_diagonal_(0)
    mates = pairs.sum(dim=1)
    loss = (F.softplus(others - similarity) * pairs).sum(dim=1) / mates.clamp(min=1)
    return loss.sum() / (mates > 0).sum().clamp(min=1)


class CEGZSLLearner(AdversarialPeer):
    """CE-GZSL in training."""

    options: CEGZSLOptions

    def judging(self) -> list[nn.Module]:
        """Critic, embedding, projection and comparator."""
        o = self.options
        self.embedding = self.add("embedding", mlp([self.dim, o.embedding], nn.ReLU()))
        self.projection = self.add("projection", mlp([o.embedding, o.projection]))
        comparator = Comparator(o.embedding, self.semantic_dim, o.comparator_hidden)
        self.comparator = self.add("comparator", comparator)
        return [*super().judging(), self.embedding, self.projection, self.comparator]

    def real_losses(self, x: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Both contrastive losses of real features."""
        h = self.embedding(x)
        return {
            "instances_real": instance_contrast(self.projected(h), rows, self.options.temperature),
            "classes_real": self.class_contrast(h, rows),
        }

    def step(self, index: int) -> Losses:
        """The critic's steps and one of the generator, on the critic's last batch."""
        x, rows, critic = self.train_critic(index)
        fake = self.generator(self.noise(len(x), "noise", index), self.a, rows)
        realism = -self.critic(fake, self.a, rows).mean()
        h = self.embedding(fake)
        with torch.no_grad():
            real = self.projected(self.embedding(x))
        z = torch.cat((self.projected(h), real))
        instances = instance_contrast(z, torch.cat((rows, rows)), self.options.temperature)
        classes = self.class_contrast(h, rows)
        loss = realism + self.options.contrast_weight * (instances + classes)
        shown = {"generator": realism, "instances": instances, "classes": classes}
        return {**critic, **descend(self.generator_adam, loss, **shown)}

    def projected(self, h: Tensor) -> Tensor:
        """z, unit vectors (B, Z), of embeddings (B, E)."""
        return F.normalize(self.projection(h), dim=1)

    def class_contrast(self, h: Tensor, rows: Tensor) -> Tensor:
        """L_cls of embeddings (B, E) of the given rows."""
        return F.cross_entropy(self.comparator(h, self.a) / self.options.temperature, rows)

    @torch.no_grad()
    def representation(self) -> Representation:
        """h."""
        weight, bias = linear(self.embedding, 0)
        return Representation(((weight / self.units.spread, bias.clone(), "relu"),), (1,))

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """h, (N, E), without random draws."""
        return self.representation()(features)
