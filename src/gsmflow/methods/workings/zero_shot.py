"""Zero-shot classification by a model of images and texts: the class whose text has the largest cosine with a picture.

With the projected feature x of a picture, the vectors t_ck of the sentences about class c (its name in each of
several prompts), and the model's own inverse temperature s and bias b::

    t_c = mean_k t_ck / |t_ck|,    logit_c = s cos(x, t_c) + b

Radford et al., Learning transferable visual models from natural language supervision, ICML 2021 (CLIP, b = 0); Zhai
et al., Sigmoid loss for language image pre-training, ICCV 2023 (SigLIP). The averages t_c are what ``gsmflow
describe`` writes. Nothing is learnt, so seen and unseen classes are treated alike and no bias between them is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.files.image_text import ImageTextModel
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.zero_shot import ZeroShotOptions


def cosine_head(texts: Tensor, model: ImageTextModel) -> LinearHead:
    """The head over classes with these text vectors (C, D).

    Examples
    --------
    >>> head = cosine_head(torch.eye(2), ImageTextModel("", 10.0, -1.0))
    >>> head.logits(torch.tensor([[3.0, 4.0]])).tolist()
    [[5.0, 7.0]]
    """
    return LinearHead(texts.float(), torch.full((len(texts),), model.bias, device=texts.device), model.scale)


def solutions(data: TrainingData, options: ZeroShotOptions) -> Iterator[tuple[dict[str, float], LinearHead]]:
    """The only head.

    Raises
    ------
    InputError
        Features and semantics are not from one model.
    """
    if data.image_text is None:
        raise InputError("zero-shot takes features and semantics of one model of images and texts")
    yield {}, cosine_head(data.semantics, data.image_text)
