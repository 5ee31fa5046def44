"""Turns a text into the semantics of a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from gsmflow.runs.joined_semantics import Describer

Encode = Callable[[str], NDArray[np.float32]]
"""A sentence to semantics (A,) of length 1, as `gsmflow describe --encoder` makes them."""


@dataclass(frozen=True)
class Encoders:
    """How texts become the semantics of a class.

    Parameters
    ----------
    sentence : Encode
        Encodes a sentence about it.
    name : Encode | None
        Encodes its name as those of the run's classes were, in the same templates; None if they were described by
        sentences.
    """

    sentence: Encode
    name: Encode | None = None


def encoders_for(describer: Describer, name: str | None, device: torch.device) -> Encoders | None:
    """The text encoder that made the semantics of a run, or their part that is of texts; None if none did.

    Parameters
    ----------
    describer : Describer
        What describes a class of the run.
    name : str | None
        Where the encoder is now; None: where it was.
    device : torch.device
        Where it computes.

    Raises
    ------
    InputError
        It is not there, or another one.
    """
    texts = [block for block in describer.blocks if block.encoder]
    if not texts:
        return Encoders(encoder_of(name, len(describer.dimensions), device)) if name else None
    if len(texts) > 1:
        raise InputError(
            "two parts of the semantics are of texts, each with its own encoder, which the service cannot handle; use "
            "`gsmflow add-class`"
        )
    from gsmflow.runs.joined_semantics import text_vectors

    vector = text_vectors(texts, name, device)
    block = texts[0]
    by_name: Encode = lambda called: vector(block, called, ())  # noqa: E731
    return Encoders(
        lambda text: vector(block, text, (text,)), by_name if block.origin.get("templates") else None
    )


def encoder_of(name: str, dimensions: int, device: torch.device) -> Encode:
    """The text encoder in a folder, or published under a name, for classes described by so many dimensions.

    Raises
    ------
    InputError
        There is no such encoder, or it gives another number of dimensions than the run's classes have.
    """
    from gsmflow.semantics.encoder import open_encoder

    encode = open_encoder(name, device)
    given = encode(["a class"]).shape[1]
    if given != dimensions:
        raise InputError(
            f"{name}: gives {given} dimensions, but the classes of this run are described by {dimensions}; "
            "name the encoder that their semantics were made with",
            parameter="encoder",
        )

    def described(text: str) -> NDArray[np.float32]:
        vector = encode([text])[0]
        return vector / np.float32(np.linalg.norm(vector))

    return described
