"""Searching for good options with Optuna, on validation problems cut from the training part alone.

The test set is never looked at: a trial's value is what [`choose`][gsmflow.protocol.choosing.choose] reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.options import Options
from gsmflow.data.problem import Problem
from gsmflow.files.atomic import make_folder, write_bytes
from gsmflow.methods import METHODS
from gsmflow.recipes.recipe import Recipe, make_recipe
from gsmflow.scores.gzsl import CURVE_SCORES
from gsmflow.studies.ray import evaluate_on_cluster
from gsmflow.studies.search_space import Dimension, any_value

if TYPE_CHECKING:
    import optuna
    import torch

    from gsmflow.protocol.choice import Choice


@dataclass(frozen=True)
class Search:
    """A search: the method, the options that are set, and those that are searched.

    Parameters
    ----------
    method : str
        Name of the method.
    preset : str
        Name of the preset the search starts from.
    overrides : tuple[str, ...]
        Options that are set, each as ``key=value``.
    space : tuple[Dimension, ...]
        The options that are searched.
    """

    method: str
    preset: str
    overrides: tuple[str, ...]
    space: tuple[Dimension, ...]

    def recipe(self, values: Sequence[str] = ()) -> Recipe:
        """The recipe with further overrides."""
        return make_recipe(self.method, self.preset, [*self.overrides, *values])


def tune(
    problem: Problem,
    search: Search,
    *,
    trials: int,
    seed: int,
    device: torch.device,
    storage: str,
    study_name: str,
    seconds: float = float("inf"),
    address: str | None = None,
    told: Callable[[optuna.trial.FrozenTrial], None] = lambda _: None,
) -> optuna.Study:
    """Run trials until the study has `trials` finished ones, including those of other workers and earlier calls.

    Parameters
    ----------
    problem : Problem
        Its validation problems are scored, its test set never.
    search : Search
        The method and the options to search.
    trials : int
        Finished trials to reach.
    seed : int
        Determines the proposals and every run.
    device : torch.device
        Where runs compute.
    storage : str
        A file, or the URL of a database Optuna knows.
    study_name : str
        Name of the study in the storage.
    seconds : float
        No further trial begins once the finished trials of the study took so long, those of earlier calls included. The
        first one always is carried out.
    address : str | None
        Address of a Ray cluster that computes the trials, see
        [`RayWorkers`][gsmflow.studies.ray.RayWorkers]; None: this process.
    told : Callable[[optuna.trial.FrozenTrial], None]
        Called after every trial.

    Raises
    ------
    InputError
        Optuna is not installed, the storage cannot be opened, or an option is unknown.
    """
    base = check(search, address)
    objective = base.selection.score if base.selection.trust_validation else "S"
    optuna = _optuna()
    study = optuna.create_study(
        storage=_storage(storage),
        study_name=study_name,
        sampler=optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed),
        direction="maximize",
        load_if_exists=True,
    )
    made_for = study.user_attrs.get("objective", objective)
    if made_for != objective:
        raise InputError(
            f"{storage}: study '{study_name}' maximizes {made_for}, not {objective}",
            remedy="name another `study_name`",
        )
    import torch  # late, as what follows: what is refused need not wait for it

    from gsmflow.compute.finite import TrainingFailed

    study.set_user_attr("objective", objective)
    if not study.trials:
        current = {d.key: d.spelled(_current(base, d.key)) for d in search.space}
        study.enqueue_trial({key: value for key, value in current.items() if value is not None})

    def jobs() -> Iterator[tuple[Any, tuple[Any, ...]]]:
        ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        while True:
            there = study.get_trials(deepcopy=False)
            own = sum(t.state == optuna.trial.TrialState.RUNNING and t.number in mine for t in there)
            finished = [t for t in there if t.state in ended]
            if len(finished) + own >= trials or _seconds(finished) >= seconds:
                return
            trial = study.ask()
            mine.add(trial.number)
            settings = [f"{d.key}={d.suggest(trial)}" for d in search.space]
            yield trial, (problem, search, settings, seed, device)

    mine: set[int] = set()
    if address is None:
        results = ((trial, _guarded(evaluate, arguments)) for trial, arguments in jobs())
    else:
        results = evaluate_on_cluster(evaluate, jobs(), address=address, threads=torch.get_num_threads())
    for trial, choice in results:
        if isinstance(choice, TrainingFailed):
            trial.set_user_attr("failure", str(choice))
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif isinstance(choice, BaseException):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise choice
        else:
            for name in (*CURVE_SCORES, "epochs"):
                trial.set_user_attr(name, getattr(choice, name))
            study.tell(trial, getattr(choice, objective))
        told(study.trials[trial.number])
    return study


def check(search: Search, address: str | None = None) -> Recipe:
    """Refuse an impossible search before anything is loaded. Returns the recipe that it starts from.

    Parameters
    ----------
    search : Search
        The method and the options to search.
    address : str | None
        Address of the Ray cluster that would compute the trials; None: this process.

    Raises
    ------
    InputError
        Optuna is not installed, there is nothing to search, an option is unknown, or this program alone registered the
        method, so that a cluster does not know it.
    """
    base = search.recipe()
    if address is not None:
        METHODS.check_known_elsewhere(search.method)
    if not search.space:
        raise InputError(
            f"method '{search.method}' says of no option where to look", remedy="name some by `vary`"
        )
    if base.method.direct and not base.selection.trust_validation:
        raise InputError(
            f"method '{search.method}' synthesizes nothing, so only validation problems can judge it; leave "
            "trust_validation on"
        )
    for dimension in search.space:
        search.recipe([f"{dimension.key}={any_value(dimension)}"])
    if find_spec("optuna") is None:
        raise InputError(f"tuning needs Optuna: {installing('tune')}")
    return base


def evaluate(
    problem: Problem, search: Search, settings: Sequence[str], seed: int, device: torch.device
) -> Choice:
    """One trial: the score of a recipe with these settings on validation problems."""
    from gsmflow.learning.journal import Recorder
    from gsmflow.protocol.choosing import choose

    return choose(problem, search.recipe(settings), seed, device, Recorder())


def _guarded(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """The result or the exception, as on a cluster."""
    try:
        return function(*arguments)
    except Exception as error:
        return error


def best_recipe(study: optuna.Study, search: Search) -> tuple[Recipe, float]:
    """The recipe of the best trial and its validation score.

    Raises
    ------
    InputError
        No trial was completed.
    """
    if not study.best_trials:
        raise InputError(
            f"study '{study.study_name}': no trial was completed", remedy="run more, or narrow `vary`"
        )
    best = study.best_trial
    return search.recipe([f"{key}={value}" for key, value in best.params.items()]), float(best.values[0])


def value_of_start(study: optuna.Study) -> float | None:
    """The validation score of the settings that a search began with; None where they were not tried or failed."""
    first = study.trials[0] if study.trials else None
    return first.value if first and "fixed_params" in first.system_attrs else None


def write_preset(path: Path, recipe: Recipe, description: str) -> None:
    """Write a recipe as a preset file, atomically."""
    make_folder(path.parent)
    tables = recipe.tables()
    tables[recipe.options.table] = {
        name: value for name, value in tables[recipe.options.table].items() if name not in recipe.method.fixed
    }
    write_bytes(path, tomli_w.dumps({"description": description} | tables).encode())


def _optuna() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _storage(where: str) -> Any:
    import warnings

    import optuna
    from optuna.storages.journal import JournalFileBackend

    try:
        if "://" in where:
            return optuna.storages.RDBStorage(where)
        make_folder(Path(where).parent)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.JournalStorage(JournalFileBackend(where))
    except InputError:
        raise
    except Exception as error:  # the database's driver may raise anything
        raise InputError(
            f"{where}: cannot be opened ({' '.join(str(error).split())})", parameter="storage"
        ) from None


def _current(recipe: Recipe, key: str) -> Any:
    """The value of an option in a recipe, by ``table.name`` or bare name."""
    table, _, name = key.rpartition(".")
    own_first = (recipe.options, recipe.head, *recipe.option_groups)
    parts: Mapping[str, Options] = {part.table: part for part in own_first}
    owners = [parts[table]] if table in parts else [p for p in parts.values() if hasattr(p, name)]
    return getattr(owners[0], name)


def _seconds(trials: Sequence[optuna.trial.FrozenTrial]) -> float:
    """What finished trials took, together."""
    return sum(trial.duration.total_seconds() for trial in trials if trial.duration is not None)
