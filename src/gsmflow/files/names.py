"""Features matched by their names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed

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
    """Features (N, D) with their columns in the wanted order; names that differ in case alone are the same.

    Raises
    ------
    InputError
        A wanted column is missing, or there are other columns.
    """
    features = _in_other_case(features, wanted)
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


def _in_other_case(features: Mapping[str, T], wanted: Sequence[str]) -> Mapping[str, T]:
    """The same features by the wanted names, where some names differ from them in case alone and none twice."""
    meant = {name.casefold(): name for name in wanted}
    if len(meant) < len(wanted) or len({name.casefold() for name in features}) < len(features):
        return features
    return {meant.get(name.casefold(), name): value for name, value in features.items()}
