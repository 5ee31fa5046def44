"""Where tuning looks: options, and the values they may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from gsmflow.base.errors import InputError
from gsmflow.base.options import Options, parse_value
from gsmflow.recipes.recipe import Recipe, overridden

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Dimension:
    """The values of one option that are searched: a range, or a list.

    Parameters
    ----------
    key : str
        The option, as ``table.name``.
    low : float
        Lower end of the range.
    high : float
        Upper end of the range.
    log : bool
        Search on a logarithmic scale.
    whole : bool
        Search whole numbers only.
    values : tuple[str, ...]
        The list; empty for a range.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    values: tuple[str, ...] = ()

    def suggest(self, trial: optuna.Trial) -> str:
        """The trial's value, as an override spells it."""
        if self.values:
            return str(trial.suggest_categorical(self.key, self.values))
        if self.whole:
            return str(trial.suggest_int(self.key, round(self.low), round(self.high), log=self.log))
        return repr(trial.suggest_float(self.key, self.low, self.high, log=self.log))

    def spelled(self, value: Any) -> Any:
        """The value as trials have it: a number of the range or the text of the list that means it, else None."""
        if self.values:
            return next((text for text in self.values if parse_value(text, type(value)) == value), None)
        return value if isinstance(value, int | float) and self.low <= value <= self.high else None


def parse_dimension(text: str, whole: bool | None = None) -> Dimension:
    """The dimension that ``KEY=LOW:HIGH``, ``KEY=LOW:HIGH:log`` or ``KEY=A,B,C`` spells.

    Parameters
    ----------
    text : str
        What the user wrote.
    whole : bool | None
        Whether only whole numbers are searched; None: if both ends are whole numbers.

    Raises
    ------
    InputError
        The text is neither.

    Examples
    --------
    >>> parse_dimension("gsmflow.blocks=1:5")
    Dimension(key='gsmflow.blocks', low=1.0, high=5.0, log=False, whole=True, values=())
    >>> parse_dimension("features.scaling=minmax,none").values
    ('minmax', 'none')
    """
    key, _, spelled = text.partition("=")
    ends = spelled.split(":")
    if key and len(ends) in (2, 3) and (len(ends) == 2 or ends[2] == "log"):
        try:
            low, high = float(ends[0]), float(ends[1])
        except ValueError:
            low, high = 1.0, 0.0
        if whole is None:
            whole = all(end.strip().lstrip("-").isdigit() for end in ends[:2])
        if low <= high and (low > 0 or len(ends) == 2):
            return Dimension(key.strip(), low, high, len(ends) == 3, whole)
    elif key and spelled and len(ends) == 1:
        return Dimension(key.strip(), values=tuple(part.strip() for part in spelled.split(",")))
    raise InputError(
        f"{text}: expected KEY=LOW:HIGH, KEY=LOW:HIGH:log (above 0) or KEY=A,B,C", parameter="vary"
    )


def default_space(recipe: Recipe) -> list[Dimension]:
    """The options of the method, of the head if it trains one, and of a reward in use, that declare a search range."""
    dimensions = []
    parts: list[Options] = [recipe.options]
    parts += [] if recipe.method.direct else [recipe.head]
    parts += [recipe.reward] if recipe.reward.tune else []
    for part in parts:
        for field in fields(part):  # type: ignore[arg-type]
            where = field.metadata.get("search")
            if where and not recipe.method.fixes(part.table, field.name):
                whole = isinstance(getattr(part, field.name), int)
                dimensions.append(parse_dimension(f"{part.table}.{field.name}={where}", whole))
    return dimensions


def without_fixed(
    space: Sequence[Dimension], recipe: Recipe, overrides: Sequence[str]
) -> tuple[list[Dimension], list[str]]:
    """The dimensions whose options no override fixes, and the names of the options of the others.

    Raises
    ------
    InputError
        An override or a dimension names no option.
    """
    fixed = overridden(recipe, overrides)
    names = {d: overridden(recipe, [f"{d.key}={any_value(d)}"]).pop() for d in space}
    return [d for d in space if names[d] not in fixed], [names[d] for d in space if names[d] in fixed]


def any_value(dimension: Dimension) -> str:
    """A value in it, as an override spells it."""
    if dimension.values:
        return dimension.values[0]
    return str(round(dimension.low)) if dimension.whole else repr(dimension.low)
