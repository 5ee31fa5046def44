"""What is used if the user names nothing; preset files, and what one says for a method."""

from __future__ import annotations

import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.base.options import Options, from_mapping
from gsmflow.base.suggest import instead_of
from gsmflow.data.feature_options import FeatureOptions
from gsmflow.data.semantic_scaling import SemanticOptions
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.reward_options import RewardOptions
from gsmflow.methods import find_method
from gsmflow.methods.method import Method
from gsmflow.recipes.selection import SelectionOptions
from gsmflow.sources import is_named

SHARED: dict[str, type[Options]] = {
    part.table: part
    for part in (FeatureOptions, SemanticOptions, HeadOptions, SelectionOptions, RewardOptions)
}
CLOSED_FORM, CHEAP = "closed-form", "cheap"  # tables of values for methods of that kind


def preset_names() -> list[str]:
    """The presets that come with the package."""
    folder = resources.files("gsmflow.recipes.presets")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def preset_for(problem: str, name: str | None = None, method: str | None = None) -> str:
    """The name of the preset for a problem. `name` defaults to the preset of the method, if the method has one.

    A NAME stands for the preset PROBLEM-NAME if there is one, so ``best`` on FLO is ``FLO-best``. Without a
    name the preset is the one named as the problem, or else ``best``.
    """
    name = name or (find_method(method).preset if method else None) or None
    known = {each.lower(): each for each in preset_names()}
    wanted = [f"{problem}-{name}"] if name else [problem, f"{problem}-best"]
    return next((known[each.lower()] for each in wanted if each.lower() in known), name or "best")


def recommended_method(problem: str, data_root: Path, protocol: str) -> str:
    """The method to use if the user names none: ``auto`` for the user's own data, for which no paper made a preset.

    It is ``gsmflow`` for named problems, if nothing is chosen (protocol ``last``), and if torchrun divides the batches.
    """
    divided = int(os.environ.get("WORLD_SIZE", "1")) > 1
    chooses = protocol == "validated" and not divided
    return "auto" if chooses and not is_named(problem, data_root) else "gsmflow"


def read_preset(name: str, method: Method | None = None) -> dict[str, dict[str, Any]]:
    """The tables of a preset, by its name or by the path of a TOML file.

    For a method of the kind ``closed form`` the values of its table ``closed-form`` stand in place of those it has for
    other methods; for one that takes seconds also those of its table ``cheap``. Both tables are left out.

    Raises
    ------
    InputError
        No such preset or file, the file is not TOML, or one of these two tables sets an option of a method.
    """
    if name.endswith(".toml"):
        path, origin = Path(name), name
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"{origin}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise InputError(f"{origin}: not UTF-8 text, so not a TOML file") from None
    else:
        if name not in preset_names():
            hint = instead_of(name, preset_names())
            raise InputError(f"preset '{name}': not known; {hint} (or the path of a .toml file)")
        origin = f"preset {name}"
        text = (resources.files("gsmflow.recipes.presets") / f"{name}.toml").read_text(encoding="utf-8")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{origin}: not valid TOML ({error})") from None
    for table, values in tables.items():
        if table != "description" and not isinstance(values, dict):
            raise InputError(
                f"{origin}: '{table}' stands outside any table; put it under the name of its method, such as "
                "[gsmflow], or under [features], [head] or [selection]"
            )
    tables.pop("description", None)
    holds = {CLOSED_FORM: bool(method) and method.kind == "closed form", CHEAP: bool(method and method.cheap)}
    instead = {kind: tables.pop(kind, {}) for kind in holds}
    for kind, part in instead.items():
        for table, values in part.items():
            if table not in SHARED or not isinstance(values, dict):
                raise InputError(
                    f"{origin}: [{kind}] sets '{table}', but it may hold only options of {', '.join(SHARED)}, such as "
                    "features.project = 0"
                )
            from_mapping(SHARED[table], values, f"{origin}, [{kind}]")
            if holds[kind]:
                tables[table] = {**tables.get(table, {}), **values}
    return {table: dict(values) for table, values in tables.items()}
