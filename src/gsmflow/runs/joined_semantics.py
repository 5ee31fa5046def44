"""Joined semantics of a run: the weights of their parts, and the semantics of a class that is added.

A new class needs values for the attributes, and a text for the parts that a text encoder made: a sentence, or its
name in the templates of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.data.semantic_blocks import Block, blocks_of
from gsmflow.runs.folder import CONFIG, read_config
from gsmflow.runs.named_semantics import named_semantics

if TYPE_CHECKING:
    import torch

    from gsmflow.data.problem import Problem
    from gsmflow.protocol.semantic_weights import SemanticWeights
    from gsmflow.recipes.recipe import Recipe
    from gsmflow.runs.folder import Request

Values = Mapping[str, float] | Sequence[float]
"""Semantics by name, or in order."""


def weights_for(
    request: Request, problem: Problem, recipe: Recipe, device: torch.device, begun: Path | None
) -> SemanticWeights | None:
    """The weights of joined semantics: those of the unfinished run in the folder, else those of the recipe.

    Raises
    ------
    InputError
        The given weights do not match the semantics; or no validation problem can be cut.
    """
    from gsmflow.protocol.semantic_weights import semantic_weights

    if begun is not None and (begun / CONFIG).exists() and recipe.semantics.weights == "chosen":
        options = read_config(begun).get("options", {}).get("semantics", {})
        weights = str(options.get("weights", "chosen"))
        recipe = replace(recipe, semantics=replace(recipe.semantics, weights=weights))
    return semantic_weights(problem, recipe, request.protocol, request.seed, device)


@dataclass(frozen=True)
class Describer:
    """Which values and texts describe a new class of a run.

    Parameters
    ----------
    dimensions : tuple[str, ...]
        A names of the run's semantic dimensions.
    blocks : tuple[Block, ...]
        The parts of joined semantics; none for a single table of numbers.
    """

    dimensions: tuple[str, ...]
    blocks: tuple[Block, ...]

    @staticmethod
    def of(folder: Path, config: Mapping[str, Any], dimensions: tuple[str, ...]) -> Describer:
        """The describer for a run, by its configuration.

        Raises
        ------
        InputError
            The configuration is not as a run writes it.
        """
        origin = config.get("semantic_origin")
        return Describer(dimensions, blocks_of(origin, len(dimensions), str(folder / CONFIG)))

    @property
    def takes_text(self) -> bool:
        """Whether a text describes a part of a class or all of it."""
        return any(block.encoder for block in self.blocks)

    @property
    def joined(self) -> bool:
        """Whether there are several blocks."""
        return len(self.blocks) > 1

    @property
    def by_hand(self) -> tuple[str, ...]:
        """The dimensions that take values."""
        if not self.blocks:
            return self.dimensions
        return tuple(name for block, names in self._named() if not block.encoder for name in names)

    def vector(
        self,
        name: str,
        values: Values | None,
        texts: Callable[[Block, str], Any],
        *,
        like: Sequence[float] | None = None,
    ) -> list[float]:
        """The semantics (A,) of a new class.

        Parameters
        ----------
        name : str
            Its name.
        values : Values | None
            Values of `by_hand` in their own units, or all values if the semantics are one table; None without any.
        texts : Callable[[Block, str], Any]
            (block, name) -> the vector of a text, in the block's own units; None leaves the block as in `like`.
        like : Sequence[float] | None
            (A,) semantics of a class whose values are used for names without a value.

        Raises
        ------
        InputError
            Values are missing, surplus, or unknown by name; or a block without values or text.
        """
        if not self.blocks or (values and not self.joined):
            return _ordered(self.dimensions, values, like)
        start, parts = 0, []
        hand = self._by_hand(values, like)
        for block, names in self._named():
            old = None if like is None else list(like[start : start + block.size])
            start += block.size
            if block.encoder:
                told = texts(block, name)
                if told is None and old is None:
                    raise InputError(
                        f"class '{name}': the semantics '{block.name}' are of texts; give a `text`"
                    )
                parts += old if told is None and old else block.joined(np.asarray(told)).tolist()
            else:
                parts += block.joined(np.array([hand[each] for each in names])).tolist()
        return parts

    def own(self, semantics: Sequence[float] | NDArray[np.float32]) -> dict[str, float]:
        """Values of semantics (A,) by name, in their own units; for joined semantics only those of `by_hand`."""
        names, values = self.own_of_all(np.asarray(semantics)[None])
        return dict(zip(names, values[0].tolist(), strict=True))

    def own_of_all(self, semantics: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[Any]]:
        """Names and values (K, a), in their own units, of semantics (K, A); of joined ones those of `by_hand` alone."""
        if not self.joined:
            return self.dimensions, semantics
        start, parts = 0, [semantics[:, :0]]
        for block, _ in self._named():
            if not block.encoder:
                parts.append(block.own(semantics[:, start : start + block.size]))
            start += block.size
        return self.by_hand, np.concatenate(parts, axis=1)

    def told_apart(self) -> list[tuple[str, list[int]]]:
        """What an answer may be explained by, each with its dimensions: a text as a whole, as its single dimensions
        mean nothing; all other dimensions one by one.
        """
        if not self.blocks:
            return [(name, [place]) for place, name in enumerate(self.dimensions)]
        start, groups = 0, []
        for block, names in self._named():
            places = list(range(start, start + block.size))
            start += block.size
            if block.encoder:
                groups.append((f"{block.name} (all {block.size} numbers of it)", places))
            else:
                groups += [(name, [place]) for name, place in zip(names, places, strict=True)]
        return groups

    def _by_hand(self, values: Values | None, like: Sequence[float] | None) -> dict[str, float]:
        names = self.by_hand
        if not names:
            if values:
                raise InputError(
                    "attributes: the semantics of this run are of texts; leave them out, or give a `text`"
                )
            return {}
        old = None if like is None else list(self.own(like).values())
        return dict(zip(names, _ordered(names, values, old), strict=True))

    def _named(self) -> list[tuple[Block, tuple[str, ...]]]:
        ends = np.cumsum([0, *(block.size for block in self.blocks)])
        return [(b, self.dimensions[ends[i] : ends[i + 1]]) for i, b in enumerate(self.blocks)]


def _ordered(names: tuple[str, ...], values: Values | None, like: Sequence[float] | None) -> list[float]:
    if like is not None and (values is None or isinstance(values, Mapping)):
        return named_semantics(names, dict(zip(names, like, strict=True)) | dict(values or {}))
    if values is None:
        raise InputError(f"attributes: missing; give {len(names)} values: {_some(names)}")
    if isinstance(values, Mapping):
        return named_semantics(names, values)
    if len(values) != len(names):
        raise InputError(f"attributes: {len(values)} values, expected {len(names)}: {_some(names)}")
    return [float(value) for value in values]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def check_text_encoders(blocks: Sequence[Block], encoder: str | None) -> dict[str, str]:
    """The text encoder of each block of texts, by the block's name, checked to be the one that made it.

    Loads no model.

    Parameters
    ----------
    blocks : Sequence[Block]
        The blocks of a run.
    encoder : str | None
        The current place of the encoder; None: unchanged.

    Raises
    ------
    InputError
        The encoder is missing, or is another one.
    """
    from gsmflow.semantics.encoder import fingerprint

    encoders: dict[str, str] = {}
    for block in blocks:
        if not block.encoder:
            continue
        name = encoders[block.name] = encoder or block.encoder
        try:
            same = fingerprint(name) == block.origin.get("encoder_sha256")
        except InputError as error:
            raise InputError(
                f"the semantics '{block.name}' are of a text encoder that is needed again: {error.message}",
                remedy="name the place where it lies now by `encoder`",
            ) from None
        if not same:
            raise InputError(
                f"{name}: not the text encoder that made the semantics '{block.name}' of the run",
                parameter="encoder",
                remedy="name that one",
            )
    return encoders


TextVector = Callable[[Block, str, Sequence[str]], Any]
"""(block, name, sentences) -> their vector (size,), in the block's own units."""


def text_vectors(blocks: Sequence[Block], encoder: str | None, device: torch.device) -> TextVector:
    """A function that encodes sentences about a new class or, without any, its name in the run's templates.

    Without a sentence it returns None if the run has no templates.

    Raises
    ------
    InputError
        The encoder is not there, or another one than made the semantics.
    """
    from gsmflow.semantics.encoder import open_encoder
    from gsmflow.semantics.names import sentences_of
    from gsmflow.semantics.sentences import averaged

    encoders = {
        name: open_encoder(each, device) for name, each in check_text_encoders(blocks, encoder).items()
    }

    def vector(block: Block, name: str, sentences: Sequence[str]) -> Any:
        said = tuple(sentences) or sentences_of(name, block.origin.get("templates") or ())
        return averaged((name,), (said,), encoders[block.name])[0] if said else None

    return vector
