"""Registries of what is chosen by name: built in, registered by a program, or from other packages.

Nothing is imported before it is needed. Other packages declare entry points in the registry's group. One that
cannot be loaded is reported in one line and left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Generic, TypeVar

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_log = logging.getLogger("gsmflow")  # unless the program sets a handler, warnings are lines on stderr


@dataclass(frozen=True)
class _Later:
    """A value that an entry point names and that is not imported yet."""

    place: EntryPoint

    @property
    def giver(self) -> str:
        """The package that declares it, with its version."""
        return f"package {self.place.dist.name} {self.place.dist.version}" if self.place.dist else "gsmflow"


class Registry(Generic[T]):
    """Values of one kind by name, such as methods.

    Parameters
    ----------
    what : str
        The kind in messages, such as ``method``.
    group : str
        The group of entry points by which other packages add values.
    built_in : Mapping[str, str]
        Name to ``module:ATTRIBUTE``, imported when it is needed.
    complaint : Callable[[str, Any], str]
        (name, value) -> what is wrong with that value under that name; empty if nothing is wrong.
    """

    def __init__(
        self, what: str, group: str, built_in: Mapping[str, str], complaint: Callable[[str, Any], str]
    ) -> None:
        self.what, self.group, self._complaint = what, group, complaint
        self._built_in = {n: _Later(EntryPoint(n, place, group)) for n, place in built_in.items()}
        self._registered: dict[str, T] = {}
        self._others: dict[str, _Later] | None = None
        self._told: set[str] = set()

    def names(self) -> list[str]:
        """All names, the built-in ones first; imports nothing."""
        return list(dict.fromkeys((*self._built_in, *self._registered, *self._of_packages())))

    def find(self, name: str, origin: str = "") -> T:
        """The value of that name.

        Parameters
        ----------
        name : str
            The name that is looked up.
        origin : str
            Where the name was given, for messages.

        Raises
        ------
        InputError
            The name is unknown, or its value cannot be loaded.
        """
        self.check_name(name, origin)
        if name in self._registered:
            return self._registered[name]
        return self._load(self._built_in.get(name) or self._of_packages()[name])

    def check_name(self, name: str, origin: str = "") -> None:
        """Refuse an unknown name; imports nothing.

        Raises
        ------
        InputError
            The name is unknown; the message suggests the nearest one.
        """
        names = self.names()
        if name not in names:
            start = f"{origin}: no {self.what}" if origin else f"no {self.what}"
            raise InputError(f"{start} '{name}'; {instead_of(name, names)}")

    def each(self) -> list[T]:
        """All values, except those that cannot be loaded; these are reported once, on stderr."""
        return self.those(lambda value: True)

    def those(self, claim: Callable[[T], bool]) -> list[T]:
        """The values for which `claim` returns true, the built-in ones first.

        Values that cannot be loaded, and values whose `claim` fails, are reported once, on stderr, and left out.
        """
        chosen = []
        for name in self.names():
            try:
                value = self.find(name)
            except InputError as error:
                self._tell(f"{error}; it is left out")
                continue
            try:
                if claim(value):
                    chosen.append(value)
            except Exception as error:
                other = self._of_packages().get(name)
                if other is None or name in self._registered:
                    raise
                self._tell(f"{self.what} '{name}' of {other.giver}: {_reason(error)}; it is left out")
        return chosen

    def is_of_this_program(self, name: str) -> bool:
        """Whether this program registered the name, so that other processes do not know it."""
        return name in self._registered

    def is_built_in(self, name: str) -> bool:
        """Whether the name is one of this package."""
        return name in self._built_in

    def check_known_elsewhere(self, name: str) -> None:
        """Refuse a name that the processes of a cluster would not know.

        Raises
        ------
        InputError
            Nothing has that name, or this program alone registered it.
        """
        self.check_name(name)
        if self.is_of_this_program(name):
            raise InputError(
                f"{self.what} '{name}': is registered in this program alone, and the processes of a cluster do not "
                f"know it; leave out `on`, or give it by an entry point in the group {self.group} of a package that "
                "is installed there"
            )

    def giver(self, name: str) -> str:
        """The origin of a known name: "gsmflow", "this program", or a package with its version."""
        if self.is_of_this_program(name):
            return "this program"
        return (self._built_in.get(name) or self._of_packages()[name]).giver

    def register(self, name: str, value: T) -> None:
        """Add a value under a name, or replace what this program registered under it.

        Raises
        ------
        InputError
            The name belongs to a built-in value or to another package, or something is wrong with the value.
        """
        taken = self._built_in.get(name) or self._of_packages().get(name)
        if taken is not None:
            raise InputError(f"{self.what} '{name}': is of {taken.giver} already; choose another name")
        complaint = self._wrong(name, value)
        if complaint:
            raise InputError(f"{self.what} '{name}': {complaint}")
        self._registered[name] = value

    def _of_packages(self) -> dict[str, _Later]:
        """The values of other packages. One whose name is taken is reported once and left out."""
        if self._others is None:
            self._others = {}
            for place in sorted(_entry_points(self.group), key=_package_of):
                later = _Later(place)
                taken = self._built_in.get(place.name) or self._others.get(place.name)
                if taken is None:
                    self._others[place.name] = later
                elif taken.giver != later.giver:  # a package found twice on the path is one package
                    self._tell(
                        f"{later.giver}: its {self.what} '{place.name}' has the name of one of {taken.giver}; "
                        "it is left out"
                    )
        return self._others

    def _load(self, later: _Later) -> T:
        place = later.place
        where = f"{self.what} '{place.name}' of {later.giver}"
        try:
            value = place.load()
        except (Exception, SystemExit) as error:  # the modules of other packages may raise anything
            if later.place.dist is None:
                raise
            raise InputError(
                f"{where}: cannot be loaded from {place.value} ({_reason(error)}); mend or uninstall that package"
            ) from error
        complaint = self._wrong(place.name, value)
        if complaint:
            raise InputError(f"{where}: {place.value} {complaint}; mend or uninstall that package")
        return value

    def _wrong(self, name: str, value: Any) -> str:
        if not _NAME.fullmatch(name):
            return "has a name of other characters than letters, digits and . _ -"
        return self._complaint(name, value)

    def _tell(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            _log.warning("gsmflow: %s", line)


@cache
def _entry_points(group: str) -> EntryPoints:
    return entry_points(group=group)


def _reason(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _package_of(place: EntryPoint) -> tuple[str, str]:
    return (place.dist.name if place.dist else "", place.name)
