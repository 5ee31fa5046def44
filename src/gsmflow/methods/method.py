"""What a method is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from gsmflow.base.options import Options
from gsmflow.data.checks import check_learnable
from gsmflow.data.lending import Setting

if TYPE_CHECKING:
    from gsmflow.data.problem import Problem
    from gsmflow.heads.base import Head
    from gsmflow.learning.learner import Learner
    from gsmflow.learning.tensors import TrainingData

# Tables that are not a method's
_TAKEN = (
    "features",
    "semantics",
    "head",
    "selection",
    "reward",
    "run",
    "data",
    "machine",
    "closed-form",
    "cheap",
)


@dataclass(frozen=True)
class Member:
    """One of the methods that a composite method consists of.

    Parameters
    ----------
    label : str
        Its name in the leaderboard; all labels differ.
    method : str
        Name of the method.
    overrides : tuple[str, ...]
        Options that differ from the preset, such as ``("features.scaling=length",)``.
    binary_at_most : int | None
        It is used only for semantics with at most this many dimensions and two values in each; None: for all.
    ranks : bool
        Whether it ranks classes. A member that only tells unseen classes from seen ones counts in a stack, never alone.
    """

    label: str
    method: str
    overrides: tuple[str, ...] = ()
    binary_at_most: int | None = None
    ranks: bool = True


@dataclass(frozen=True)
class Method:
    """A method: its name, its options, and one function that makes it.

    Exactly one of `learner`, `direct` and `members` is given.

    Parameters
    ----------
    name : str
        The name that the command line and presets use: letters, digits and ``. _ -``.
    citation : str
        The paper to cite.
    options : type[Options]
        Its option dataclass, whose ``table`` is the method's name.
    fixed : Mapping[str, Any]
        Options that define the method and cannot be set: its own options by their names, options of other tables
        as ``features.scaling``.
    inherits : str
        Another method, whose table in a preset also applies to this one for options that its own table lacks.
    learner : Callable[[TrainingData, Any, int], Learner] | None
        (data, options, seed) -> an untrained [`Learner`][gsmflow.learning.learner.Learner].
    rebuild : Callable[[TrainingData, Any, int], Learner] | None
        The same as `learner`, for a run whose weights are loaded: it skips what only training needs. None:
        `learner` is used.
    direct : Callable[[TrainingData, Any], Iterable[tuple[dict[str, float], Head]]] | None
        (data, options) -> pairs of the parameters that were tried and their head, the default first. The
        protocol chooses among them.
    at : Callable[[Any, Mapping[str, float]], Any] | None
        (options, parameters) -> options with which `direct` tries these parameters alone, so that it need not
        try all others again to compute the head of a choice; None if that saves nothing.
    parts : Mapping[str, tuple[str, ...]]
        What ``gsmflow ablate`` leaves out: a label, such as "without perturbation", to overrides, such as
        ``("perturbation=0",)``.
    divisible : bool
        Whether its learner divides a batch among several processes, which all see the same problem.
    members : tuple[Member, ...]
        The members of a composite method, which are judged and stacked, in the order in which they are
        tried.
    needs : Callable[[Problem], None] | None
        Refuses, by an [`InputError`][gsmflow.base.errors.InputError], a problem that the method cannot work on; None:
        it works on all. It does not load torch.
    untrained : bool
        Whether it learns nothing, so that it needs no samples to train on.
    upper_bound : bool
        Whether it is trained on real, labelled samples of unseen classes, which the problem lends
        ([`gsmflow.data.lending`][gsmflow.data.lending]). It is always shown as an upper bound and not ranked.
    cheap : bool
        Whether a fit takes so little time (a second on some thousand samples) that recommended presets judge it on
        more validation problems than others.
    rival : str
        A quick closed form with an option ``tried``, which a run of this method is compared with on its validation
        problems, so that the user hears of a far better method; empty for none.
    preset : str
        The kind of preset it starts from if the user names none, such as ``best``; empty: that of the problem.
    kind : str
        ``closed form``, ``trained generator`` or ``classifier by itself``. Presets may have other values for closed
        forms.
    speed : str
        How long a validated run takes on two cores with some thousand features of a thousand dimensions.
    when : str
        When to use it, in a sentence.
    """

    name: str
    citation: str
    options: type[Options]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    inherits: str = ""
    learner: Callable[[TrainingData, Any, int], Learner] | None = None
    rebuild: Callable[[TrainingData, Any, int], Learner] | None = None
    direct: Callable[[TrainingData, Any], Iterable[tuple[dict[str, float], Head]]] | None = None
    at: Callable[[Any, Mapping[str, float]], Any] | None = None
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    divisible: bool = False
    members: tuple[Member, ...] = ()
    needs: Callable[[Problem], None] | None = None
    untrained: bool = False
    upper_bound: bool = False
    cheap: bool = False
    rival: str = "lda"
    preset: str = ""
    kind: str = ""
    speed: str = ""
    when: str = ""

    def fixes(self, table: str, name: str) -> bool:
        """Whether an option of a table cannot be set."""
        return (name if table == self.options.table else f"{table}.{name}") in self.fixed

    def has(self, name: str) -> bool:
        """Whether it has an option of its own with this name that can be set."""
        return hasattr(self.options, name) and name not in self.fixed

    @property
    def transductive(self) -> bool:
        """Whether it can use unlabelled features of unseen classes: it has an option ``transductive``."""
        return self.has("transductive")

    def setting(self, options: Options) -> Setting:
        """What training with these options may use of the unseen classes."""
        if self.upper_bound:
            return Setting.UPPER_BOUND
        return Setting.TRANSDUCTIVE if getattr(options, "transductive", False) else Setting.INDUCTIVE

    def check(self, problem: Problem) -> None:
        """Refuse a problem that the method cannot work on.

        Raises
        ------
        InputError
            The method cannot work on the problem.
        """
        if self.needs:
            self.needs(problem)
        if not self.untrained:
            check_learnable(problem.train, problem.seen, problem.where)


def complaint_about(name: str, method: Any) -> str:
    """What is wrong with a method that will be registered as `name`, in words; empty if nothing is."""
    if not isinstance(method, Method):
        return f"is a {type(method).__name__}, expected a Method of gsmflow.methods"
    if method.name != name:
        return f"is named '{method.name}', expected '{name}'"
    if name in _TAKEN:
        return "has the name of a table of options; choose another name"
    if not (isinstance(method.options, type) and issubclass(method.options, Options)):
        return "has options that are no subclass of gsmflow.methods.Options"
    if method.options.table != name:
        return f"has options with table = '{method.options.table}', expected '{name}'"
    if sum((method.direct is not None, method.learner is not None, bool(method.members))) != 1:
        return "gives several of a learner, a direct solution and members or none, expected one of them"
    return ""


@dataclass(frozen=True)
class later:
    """A function that is imported when it is called, so that a method's options are known without torch.

    Parameters
    ----------
    place : str
        Where it is: ``module:name``.
    """

    place: str

    def __call__(self, *given: Any) -> Any:
        """The result of the function."""
        return EntryPoint("", self.place, "").load()(*given)
