"""Features matched by their names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.class_names import normal
from gsmflow.files.column_names import INVISIBLE

T = TypeVar("T")


def matched(
    where: str,
    features: Mapping[str, T],
    wanted: Sequence[str],
    left_out: Collection[str] = (),
    *,
    what: str = "feature",
    of: str = "the data the run was trained on",
) -> dict[str, T]:
    """Features (N, D) with their columns in the wanted order; names that differ in case or spaces alone are the same.

    Raises
    ------
    InputError
        A wanted column is missing, or there are other columns.
    """
    features = _as_wanted(features, wanted)
    missing = [name for name in wanted if name not in features]
    surplus = [name for name in features if name not in wanted]
    if missing or surplus:
        lacks = f"lacks the {what} column{'s' * (len(missing) > 1)} {listed(missing)}" if missing else ""
        has = f"has {listed([*surplus, *left_out])}" if surplus or (missing and left_out) else ""
        raise InputError(
            f"{where}: {' and '.join(filter(None, (lacks, has)))}, unlike {of}; give the same columns, in any "
            "order"
        )
    return {name: features[name] for name in wanted}


def _as_wanted(features: Mapping[str, T], wanted: Sequence[str]) -> Mapping[str, T]:
    """The same features by the wanted names, where names differ from them in case or spaces alone and none twice."""
    meant = {_compared(name): name for name in wanted}
    if len(meant) < len(wanted) or len({_compared(name) for name in features}) < len(features):
        return features
    return {meant.get(_compared(name), name): value for name, value in features.items()}


def _compared(name: str) -> str:
    return normal(name.translate(INVISIBLE)).casefold()
