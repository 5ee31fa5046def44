"""What a method is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gsmflow.base.options import Options

if TYPE_CHECKING:
    from gsmflow.heads.base import Head
    from gsmflow.learning.learner import Learner
    from gsmflow.learning.tensors import TrainingData


@dataclass(frozen=True)
class Method:
    """What a method's module exposes as ``METHOD``.

    Parameters
    ----------
    options : type[Options]
        Its option dataclass.
    citation : str
        Whom to credit.
    fixed : Mapping[str, Any]
        Options that make the method what it is and cannot be set.
    inherits : str
        Another method, whose table in a preset serves this one too where it says nothing itself.
    rebuild : Callable[[TrainingData, Any, int], Learner] | None
        As learner, where trained weights are at hand and a learner would prepare its training for nothing.
        Exactly one of: learner: (data, options, seed) -> a [`Learner`][gsmflow.learning.learner.Learner];
    direct : Callable[[TrainingData, Any], Iterable[tuple[dict[str, float], Head]]] | None
        (data, options) -> (parameters tried, head) pairs, the default first, for the protocol to choose among.
    """

    name: str
    citation: str
    options: type[Options]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    inherits: str = ""
    learner: Callable[[TrainingData, Any, int], Learner] | None = None
    rebuild: Callable[[TrainingData, Any, int], Learner] | None = None
    direct: Callable[[TrainingData, Any], Iterable[tuple[dict[str, float], Head]]] | None = None
