"""Options: small frozen dataclasses that check their values, and reading them from presets and text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of

T = TypeVar("T")

_FLOAT32_TINY, _FLOAT32_MAX = 2.0**-126, (2 - 2.0**-23) * 2.0**127  # least normal and largest number


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    search: str = "",
) -> Any:
    """A dataclass field with its meaning and its allowed values: low <= v <= high, above < v < below.

    Parameters
    ----------
    default : Any
        The default value.
    help : str
        What the option means, as the command line and the reference show it.
    low : float | None
        The least value that is allowed.
    high : float | None
        The greatest value that is allowed.
    above : float | None
        Values must be greater than this.
    below : float | None
        Values must be less than this.
    choices : tuple[str, ...] | None
        The only values that are allowed.
    search : str
        Where tuning looks for a good value, as [`parse_dimension`][gsmflow.studies.search_space.parse_dimension]
        reads it. Without it, the option is tuned only on request.
    """
    bounds = {"low": low, "high": high, "above": above, "below": below, "choices": choices, "search": search}
    return dataclasses.field(default=default, metadata={"help": help, **bounds})


class Options:
    """Base of option dataclasses: checks every field on construction and reports everything that is wrong in
    one error.

    `table` is the name of the options' table in presets and on the command line (``table.field``).
    """

    table: str = ""

    def __post_init__(self) -> None:
        problems = []
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            wanted = hints[field.name]
            if wanted is float and type(value) is int:
                value = float(value)
                object.__setattr__(self, field.name, value)
            complaint = _complaint(value, wanted, field.metadata)
            if complaint:
                shown = f"'{value}'" if isinstance(value, str) else value
                problems.append(f"{self.table}.{field.name} = {shown}: expected {complaint}")
        if problems:
            raise InputError("; ".join(problems))

    def as_dict(self) -> dict[str, Any]:
        """The options as plain values, in the order of definition."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]


def from_mapping(cls: type[T], values: Mapping[str, Any], origin: str) -> T:
    """Make an options object from a preset's table; the message about an unknown name suggests the nearest one."""
    known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    table = getattr(cls, "table", "")
    for name in values:
        if name not in known:
            raise InputError(f"{origin}: unknown option '{table}.{name}'; {instead_of(name, known)}")
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None


def parse_value(text: str, wanted: type) -> Any:
    """Read `text`, from a command line, as a value of the wanted type.

    Other text is returned unchanged, and the check of the option refuses it.

    >>> parse_value("3", int), parse_value("1e-3", float), parse_value("off", bool)
    (3, 0.001, False)
    """
    if wanted is bool:
        return {"true": True, "on": True, "yes": True, "1": True}.get(
            text.lower(), {"false": False, "off": False, "no": False, "0": False}.get(text.lower(), text)
        )
    if wanted in (int, float):
        try:
            return wanted(text)
        except ValueError:
            return text
    return text


def _complaint(value: Any, wanted: Any, bounds: Mapping[str, Any]) -> str:
    """What was expected instead of `value`; empty if `value` is fine."""
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    words = [names.get(wanted, str(wanted))]
    if bounds.get("choices"):
        words = [f"one of {', '.join(bounds['choices'])}"]
    low, high, above, below = (bounds.get(k) for k in ("low", "high", "above", "below"))
    words += [f"at least {low}"] if low is not None else []
    words += [f"above {above}"] if above is not None else []
    words += [f"at most {high}"] if high is not None else []
    words += [f"below {below}"] if below is not None else []
    if wanted is float and type(value) is float and not _fits_float32(value):
        words.append("neither too large nor too small for float32")
    expected = ", ".join(words)
    if type(value) is not wanted:
        return expected
    if bounds.get("choices") and value not in bounds["choices"]:
        return expected
    if isinstance(value, float) and not _fits_float32(value):
        return expected
    fits = (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    return "" if fits else expected


def _fits_float32(value: float) -> bool:
    """Whether float32 can hold the value: finite, and 0 only if the value is 0."""
    return value == 0 or _FLOAT32_TINY <= abs(value) <= _FLOAT32_MAX
