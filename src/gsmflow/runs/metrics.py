"""The content of ``metrics.json``, with types, written and read in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.protocol.choice import Choice, ChosenOn
from gsmflow.scores.gzsl import CURVE_SCORES, SCORES, Scores


@dataclass(frozen=True)
class Chosen:
    """A choice and what it was made on.

    Parameters
    ----------
    on : ChosenOn
        Which data its scores are from.
    choice : Choice
        The choice, with its scores there.
    """

    on: ChosenOn
    choice: Choice

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with None for NaN as JSON wants it."""
        values = {name: _plain(value) for name, value in asdict(self.choice).items()}
        if not self.choice.averaged:
            del values["averaged"]  # as runs without it always were
        if self.choice.unseen is None:
            del values["unseen"]
        return {"on": self.on.value} | values

    @staticmethod
    def from_dict(content: Any, origin: str) -> Chosen:
        """Inverse of [`to_dict`][gsmflow.runs.metrics.Chosen.to_dict].

        Parameters
        ----------
        content : Any
            What JSON gives.
        origin : str
            The file and the key, for messages.

        Raises
        ------
        InputError
            It is not as a run writes it.
        """
        try:
            values = dict(content)
            on = ChosenOn(values.pop("on"))
            unknown = values.keys() - {each.name for each in fields(Choice)}
            if unknown:
                raise KeyError(*sorted(unknown))
            missing: dict[str, Any] = {
                name: math.nan for name in CURVE_SCORES if name in values and values[name] is None
            }
            return Chosen(on, Choice(**values | missing))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{origin}: not as a run writes it ({' '.join(str(error).split())}); restore the file, or train again"
            ) from None


@dataclass(frozen=True)
class Metrics:
    """The results of a run.

    Parameters
    ----------
    method, problem, preset : str
        Their names.
    seed : int
        Determines every random draw.
    protocol : str
        ``validated`` or ``last``.
    scores : Scores
        Scores on the test set, under the protocol.
    steps : int
        Length of the generator's training; 0 for a direct method.
    seconds : dict[str, float]
        Time of each part, and ``total``.
    chosen : Chosen | None
        The choice of the protocol; None if it chooses nothing.
    confidence : dict[str, float]
        How reliable its probabilities are on the test set; empty if that was not measured.
    shifts : dict[str, Any] | None
        One number for each generation shift, and who judged.
    oracle : Chosen | None
        The best on the test set; None unless asked for.
    more : dict[str, Any]
        Further entries, such as ``version``.
    """

    method: str
    problem: str
    preset: str
    seed: int
    protocol: str
    scores: Scores
    steps: int
    seconds: dict[str, float]
    chosen: Chosen | None = None
    confidence: dict[str, float] = field(default_factory=dict)
    shifts: dict[str, Any] | None = None
    oracle: Chosen | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values as in ``metrics.json``; entries that do not exist are left out, and NaN becomes None."""
        content: dict[str, Any] = {name: getattr(self, name) for name in _NAMES}
        content |= self.scores.to_dict()
        content |= {"steps": self.steps, "seconds": self.seconds}
        if self.chosen:
            content["chosen"] = self.chosen.to_dict()
        if self.confidence:
            content["confidence"] = self.confidence
        if self.shifts:
            content["shifts"] = self.shifts
        if self.oracle:
            content["oracle"] = self.oracle.to_dict()
        return content | self.more

    @staticmethod
    def from_dict(content: Any, origin: str) -> Metrics:
        """Inverse of [`to_dict`][gsmflow.runs.metrics.Metrics.to_dict].

        Parameters
        ----------
        content : Any
            What JSON gives.
        origin : str
            The file, for messages.

        Raises
        ------
        InputError
            An entry is missing, or not as a run writes it.
        """
        if not isinstance(content, Mapping):
            raise InputError(f"{origin}: expected an object of metrics, found {type(content).__name__}")
        missing = [
            name for name in (*_NAMES, *SCORES, "per_class", "steps", "seconds") if name not in content
        ]
        if missing:
            raise InputError(f"{origin}: '{missing[0]}' is missing; restore the file, or train again")
        numbers = {name: math.nan if content[name] is None else content[name] for name in SCORES}
        chosen, oracle = (
            Chosen.from_dict(content[name], f"{origin}: '{name}'") if name in content else None
            for name in ("chosen", "oracle")
        )
        own = {each.name for each in fields(Metrics)} | {*SCORES, "per_class"}
        return Metrics(
            **{name: content[name] for name in _NAMES},
            scores=Scores(**numbers, per_class=content["per_class"]),
            steps=content["steps"],
            seconds=content["seconds"],
            chosen=chosen,
            confidence=content.get("confidence", {}),
            shifts=content.get("shifts"),
            oracle=oracle,
            more={name: value for name, value in content.items() if name not in own},
        )


_NAMES = ("method", "problem", "preset", "seed", "protocol")


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
