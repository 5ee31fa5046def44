"""Features matched by their names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed

T = TypeVar("T")


def matched(
    where: str, features: Mapping[str, T], wanted: Sequence[str], left_out: Collection[str] = ()
) -> dict[str, T]:
    """Features (N, D) with their columns in the wanted order.

    Raises
    ------
    InputError
        A wanted column is missing, or there are other columns.
    """
    missing = [name for name in wanted if name not in features]
    surplus = [name for name in features if name not in wanted]
    if missing or surplus:
        lacks = f"lacks the feature column {listed(missing)}" if missing else ""
        has = f"has {listed([*surplus, *left_out])}" if surplus or (missing and left_out) else ""
        raise InputError(
            f"{where}: {' and '.join(filter(None, (lacks, has)))}, unlike the data the run was trained on; "
            "give the same columns, in any order"
        )
    return {name: features[name] for name in wanted}
