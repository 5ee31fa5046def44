"""f-CLSWGAN (Xian et al., CVPR 2018): a conditional WGAN-GP whose features a classifier has to recognise.

Critic and generator are as in [`gsmflow.methods.adversarial`][gsmflow.methods.adversarial]. The loss of the
generator also has the cross-entropy of a softmax classifier. This classifier is trained on real features of the seen
classes beforehand and does not change afterwards::

    L_G = -E[D(x~, a)] + beta E[-log P(y | x~)]

Published: hidden 4096, as many dimensions of z as semantics have, and a ReLU at the end of the generator, for
non-negative features. Here the end is linear, which fits projected features too.
"""

from __future__ import annotations

from torch.nn import functional as F

from gsmflow.learning.head_data import Pool
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.learner import Losses
from gsmflow.learning.softmax import train_head
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.f_clswgan import CLSWGANOptions
from gsmflow.methods.workings.adversarial import AdversarialPeer
from gsmflow.methods.workings.trained import descend


class CLSWGANLearner(AdversarialPeer):
    """f-CLSWGAN in training; its classifier depends on (data, options, seed) alone."""

    options: CLSWGANOptions

    def __init__(self, data: TrainingData, options: CLSWGANOptions, seed: int) -> None:
        super().__init__(data, options, seed)
        heads = HeadOptions(
            learning_rate=options.classifier_learning_rate, epochs=options.classifier_epochs, batch_size=100
        )
        real = Pool(self.units.features(data.features), data.labels, len(data.labels))
        *_, self.classifier = train_head(real, len(data.seen), heads, seed, "classifier")

    def step(self, index: int) -> Losses:
        """The critic's steps and one of the generator, on the classes of the critic's last batch."""
        x, rows, critic = self.train_critic(index)
        fake = self.generator(self.noise(len(x), "noise", index), self.a, rows)
        realism = -self.critic(fake, self.a, rows).mean()
        classification = F.cross_entropy(self.classifier.logits(fake), rows)
        loss = realism + self.options.classification_weight * classification
        return {
            **critic,
            **descend(self.generator_adam, loss, generator=realism, classification=classification),
        }
