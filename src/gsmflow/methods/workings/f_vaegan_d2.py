"""f-VAEGAN-D2 (Xian et al., CVPR 2019): the decoder of a conditional VAE is the generator of a WGAN-GP.

With an encoder q(z | x, a) = N(mu, diag(sigma^2)), the generator G and the critic of
[`gsmflow.methods.adversarial`][gsmflow.methods.adversarial]::

    L_VAE = mean |x - G(z, a)|^2 + mean KL(q(z | x, a) || N(0, I))        z = mu + sigma * eps
    L     = L_VAE - gamma E[D(G(z', a), a)]                                  z' ~ N(0, I)

L is the loss of encoder and generator. The second critic D2 of the paper sees unlabelled features of the unseen
classes, which only the transductive setting has
([`gsmflow.methods.workings.second_critic`][gsmflow.methods.workings.second_critic]). The encoder needs semantics, so in
both settings it sees seen classes alone. The published likelihood is Bernoulli (features in [0, 1]); here it is
Gaussian, as in [`gsmflow.methods.cvae`][gsmflow.methods.cvae], which fits projected features too.
"""

from __future__ import annotations

from torch import Tensor, nn

from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.f_vaegan_d2 import D2Options, VAEGANOptions
from gsmflow.methods.workings.adversarial import AdversarialPeer
from gsmflow.methods.workings.cvae import kl_to_standard_normal
from gsmflow.methods.workings.networks import ConditionalMLP
from gsmflow.methods.workings.second_critic import SecondCritic
from gsmflow.methods.workings.trained import descend


class VAEGANLearner(AdversarialPeer):
    """f-VAEGAN-D2 in training."""

    options: VAEGANOptions

    def __init__(self, data: TrainingData, options: VAEGANOptions, seed: int) -> None:
        super().__init__(data, options, seed)
        self.second: SecondCritic | None = None
        if isinstance(options, D2Options) and options.transductive:
            self.second = SecondCritic(self, options)

    def generating(self) -> list[nn.Module]:
        """Encoder and generator."""
        encoder = ConditionalMLP(self.dim, self.semantic_dim, [self.options.hidden, 2 * self.noise_dim])
        self.encoder = self.add("encoder", encoder)
        return [self.encoder, self.generator]

    def step(self, index: int) -> Losses:
        """The critic's steps and one of encoder and generator, on the critic's last batch."""
        x, rows, critic = self.train_critic(index)
        second = self.second.train(index) if self.second else {}
        return {**critic, **second, **self.train_generator(x, rows, index)}

    def train_generator(self, x: Tensor, rows: Tensor, index: int) -> Losses:
        """One step on L."""
        mean, log_variance = self.encoder(x, self.a, rows).chunk(2, dim=1)
        z = mean + (log_variance / 2).exp() * self.noise(len(x), "latent", index)
        divergence = kl_to_standard_normal(mean, log_variance).mean()
        again = self.synthesize(z, self.a, rows)
        fake = self.synthesize(self.noise(len(x), "noise", index), self.a, rows)
        reconstruction = (x - again).square().sum(dim=1).mean()
        realism = -self.critic(fake, self.a, rows).mean()
        loss = reconstruction + divergence + self.options.adversarial_weight * realism
        more = self.synthetic_losses(again, fake, rows)
        if self.second:
            more["unseen_generator"] = self.second.realism(index)
        shown = {"reconstruction": reconstruction, "divergence": divergence, "generator": realism}
        return descend(self.generator_adam, sum(more.values(), loss), **shown, **more)

    def synthetic_losses(self, again: Tensor, fake: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Further losses by name, on reconstructed and synthetic features (B, D) and their rows."""
        return {}
