"""A recipe: everything that is decided before a run (method, options, presets, overrides)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from gsmflow.base.errors import InputError
from gsmflow.base.options import Options, from_mapping, parse_value
from gsmflow.base.suggest import instead_of
from gsmflow.compute.devices import DIVIDED
from gsmflow.data.feature_options import FeatureOptions
from gsmflow.data.lending import Setting, check_lendable
from gsmflow.data.problem import Problem
from gsmflow.data.semantic_scaling import SemanticOptions
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.reward_options import RewardOptions
from gsmflow.methods import METHODS, find_method
from gsmflow.methods.method import Member, Method
from gsmflow.recipes.preset import SHARED, read_preset
from gsmflow.recipes.selection import SelectionOptions

_SHORT = 1 << 16  # dimensions times hidden units of a flow whose steps are not divided


@dataclass(frozen=True)
class Recipe:
    """A method with its options, and the options of everything around it.

    Parameters
    ----------
    preset : str
        Name of the preset it was read from.
    method : Method
        The method.
    options : Options
        The method's options.
    features : FeatureOptions
        How features are scaled and projected.
    head : HeadOptions
        How the head is trained.
    selection : SelectionOptions
        When and on what choices are made.
    members : Mapping[str, Recipe]
        The recipes of the members of a composite method, by label; empty for other methods.
    semantics : SemanticOptions
        How semantics are scaled.
    reward : RewardOptions
        Whether and how a generator is tuned by its outcome.
    """

    preset: str
    method: Method
    options: Options
    features: FeatureOptions
    head: HeadOptions
    selection: SelectionOptions
    members: Mapping[str, Recipe] = field(default_factory=dict)
    semantics: SemanticOptions = field(default_factory=SemanticOptions)
    reward: RewardOptions = field(default_factory=RewardOptions)

    @property
    def option_groups(self) -> tuple[Options, ...]:
        """The options of all tables, each table once."""
        return (self.features, self.semantics, self.options, self.head, self.selection, self.reward)

    @property
    def setting(self) -> Setting:
        """What training may use of the unseen classes besides their semantics."""
        return self.method.setting(self.options)

    @property
    def trained(self) -> int:
        """How many models are trained on the same data: of a composite method, its members that are no closed forms."""
        return sum(member.method.direct is None for member in self.members.values()) or 1

    def check(self, problem: Problem) -> None:
        """Refuse a problem that the recipe cannot be used on.

        Raises
        ------
        InputError
            The method is not meant for the problem, or the problem lacks what the setting uses.
        """
        self.method.check(problem)
        check_lendable(problem, self.setting)

    def check_divisible(self) -> None:
        """Refuse a recipe whose training does not divide its batches among processes.

        Raises
        ------
        InputError
            It does not.
        """
        if not self.method.divisible:
            raise InputError(
                f"method '{self.method.name}' is not divided among processes; start it without torchrun"
            )
        if self.reward.tune:
            raise InputError(
                "reward.tune = True: tuning is not divided among processes; start it without torchrun"
            )

    def has_short_steps(self, dims: int) -> bool:
        """Whether steps of a training on features of so many dimensions are too short to divide among threads.

        Those of flows are, up to 256 dimensions and 256 hidden units. Beside other busy programs two threads take many
        times as long as one there, and without such programs never half as long.
        """
        hidden = getattr(self.options, "hidden", None)
        small = hasattr(self.options, "blocks") and hidden is not None and dims * hidden <= _SHORT
        return self.method.learner is not None and (small or dims < DIVIDED)

    def tables(self) -> dict[str, dict[str, Any]]:
        """All options, table by table, in the form of a preset file; those of a reward only if there is one."""
        return {
            part.table: part.as_dict()
            for part in self.option_groups
            if part is not self.reward or self.reward.tune
        }


def make_recipe(method: str, preset: str, overrides: Sequence[str] = ()) -> Recipe:
    """Combine a method, a preset and ``key=value`` overrides.

    A preset may have a table ``closed-form`` with values of shared tables for methods that train nothing, in place of
    those it has for others, and a table ``cheap`` for those of them that take seconds.

    A key is ``table.option``, or the bare name of an option. A bare name means the method's own option if
    there is one, and otherwise the option of the only table that has it.

    Raises
    ------
    InputError
        Unknown method, preset, table or option, or a value out of range.
    """
    chosen = find_method(method)
    classes: dict[str, type[Options]] = {
        cls.table: cls
        for cls in (
            FeatureOptions,
            SemanticOptions,
            chosen.options,
            HeadOptions,
            SelectionOptions,
            RewardOptions,
        )
    }
    origin = f"preset {preset}"
    tables = read_preset(preset, chosen)
    for table in tables:
        if table not in classes:
            METHODS.check_name(table, origin)  # options of another method: a preset may hold several
    values = {table: dict(tables.get(table, {})) for table in classes}
    own = chosen.options.table
    if chosen.inherits:
        names = {f.name for f in fields(chosen.options)}  # type: ignore[arg-type]
        inherited = {k: v for k, v in tables.get(chosen.inherits, {}).items() if k in names}
        values[own] = inherited | values[own]
    origins = dict.fromkeys(classes, origin)
    others = {options.table: options for options in (find_method(m.method).options for m in chosen.members)}
    of_members: list[str] = []
    for override in overrides:
        table, name, value = _parse_override(override, classes | others)
        if table != own and chosen.members:
            of_members.append(f"{table}.{name}={override.partition('=')[2]}")
        if table not in classes:
            continue
        origins[table] = f"{origin} with `overrides`"
        if chosen.fixes(table, name):
            key = name if table == own else f"{table}.{name}"
            raise InputError(
                f"{override}: in method '{method}' {key} is always {chosen.fixed[key]}",
                parameter="overrides",
            )
        values[table][name] = value
    for key, value in chosen.fixed.items():
        table, _, name = key.rpartition(".")
        values[table or own][name] = value
    parts = {table: from_mapping(cls, values[table], origins[table]) for table, cls in classes.items()}
    features, semantics, options, head, selection, reward = parts.values()
    assert isinstance(features, FeatureOptions)
    assert isinstance(semantics, SemanticOptions)
    assert isinstance(head, HeadOptions)
    assert isinstance(selection, SelectionOptions)
    assert isinstance(reward, RewardOptions)
    if reward.tune and chosen.direct is not None:
        raise InputError(
            f"reward.tune = True: method '{method}' is a closed form and trains no generator that could be tuned; "
            "leave it out, or choose a method of the kind 'trained generator' (gsmflow methods)",
            parameter="overrides",
        )
    members = {m.label: _member_recipe(m, preset, of_members) for m in chosen.members}
    return Recipe(preset, chosen, options, features, head, selection, members, semantics, reward)


def _member_recipe(member: Member, preset: str, overrides: Sequence[str]) -> Recipe:
    """The recipe of a member, with the overrides of its own tables and of shared tables."""
    method = find_method(member.method)
    tables = (*SHARED, method.options.table)
    own = []
    for override in overrides:
        table, _, name = override.partition("=")[0].partition(".")
        if table in tables and not method.fixes(table, name):
            own.append(override)
    if method.direct is not None:
        own.append("reward.tune=off")  # members that synthesize are tuned
    recipe = make_recipe(member.method, preset, [*own, *member.overrides])
    if recipe.setting is not Setting.INDUCTIVE:
        raise InputError(
            f"member '{member.label}': its setting is {recipe.setting.value}, but members of a stack are inductive; "
            f"train method '{member.method}' alone",
            parameter="overrides",
        )
    return recipe


def transductive_override(method: str) -> str:
    """The override that lets a method use unlabelled features of unseen classes.

    Raises
    ------
    InputError
        The method has no transductive setting.
    """
    return own_override(method, "transductive", "on", "transductive setting")


def own_override(name: str, option: str, value: str, called: str) -> str:
    """The override of an option that only some methods have.

    Raises
    ------
    InputError
        The method has no such option; it is `called` so in the message.
    """
    method = find_method(name)
    if not method.has(option):
        able = ", ".join(each.name for each in METHODS.each() if each.has(option))
        raise InputError(f"method '{name}' has no {called}; choose one of {able}")
    return f"{method.options.table}.{option}={value}"


def overridden(recipe: Recipe, overrides: Sequence[str]) -> set[str]:
    """The options (``table.option``) that overrides of a recipe set.

    Raises
    ------
    InputError
        An override names no option.
    """
    classes = {part.table: type(part) for part in recipe.option_groups}
    return {".".join(_parse_override(text, classes)[:2]) for text in overrides}


def recipe_from(config: Mapping[str, Any], origin: str) -> Recipe:
    """The recipe that a run's ``config.toml`` records in its tables ``run`` and ``options``.

    Raises
    ------
    InputError
        A table is missing, or names an unknown method or option.
    """
    try:
        run, options = config["run"], config["options"]
        method = find_method(run["method"], origin)
        classes = (FeatureOptions, method.options, HeadOptions, SelectionOptions)
        features, own, head, selection = (from_mapping(cls, options[cls.table], origin) for cls in classes)
        preset = str(run["preset"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{origin}: {error} is missing, so it does not tell how the run was made") from None
    assert isinstance(features, FeatureOptions)
    assert isinstance(head, HeadOptions)
    assert isinstance(selection, SelectionOptions)
    members = {}
    for record in config.get("members", []):
        run = {"method": record["method"], "preset": preset}
        members[record["label"]] = recipe_from({"run": run, "options": record["options"]}, origin)
    semantics, reward = (
        from_mapping(cls, options.get(cls.table, {}), origin) for cls in (SemanticOptions, RewardOptions)
    )
    assert isinstance(semantics, SemanticOptions)
    assert isinstance(reward, RewardOptions)
    return Recipe(preset, method, own, features, head, selection, members, semantics, reward)


def _parse_override(text: str, classes: Mapping[str, type[Options]]) -> tuple[str, str, Any]:
    key, separator, value = text.partition("=")
    key = key.strip()
    if not separator or not key:
        raise InputError(f"{text}: expected key=value, such as head.epochs=20", parameter="overrides")
    table, dot, name = key.rpartition(".")
    everything = [f"{t}.{f.name}" for t, cls in classes.items() for f in fields(cls)]  # type: ignore[arg-type]
    if not dot:
        owners = [t for t, cls in classes.items() if name in get_type_hints(cls)]
        own = [t for t in owners if t not in SHARED]
        table = (own or owners or [""])[0]
    if f"{table}.{name}" not in everything:
        raise InputError(
            f"{text}: unknown option '{key}'; {instead_of(key, everything, quote='')}", parameter="overrides"
        )
    return table, name, parse_value(value.strip(), get_type_hints(classes[table])[name])
