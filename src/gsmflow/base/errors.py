"""The exception for requests and data that are wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_NAMED = re.compile(r"`(\w+)`")


class InputError(ValueError):
    """The request or the data is wrong, and the caller can correct it.

    The text is a single line that names the file (or argument), the offending place, and what to do about it.
    The command line turns it into exit code 2.

    Parameters
    ----------
    message : str
        What is wrong, beginning with the file or value. Parameters are written in backquotes with their names in
        Python; the command line replaces them by its options.
    parameter : str
        The parameter whose value the message begins with, by its name in Python.
    remedy : str
        How to correct it, with parameters written as in the message.
    """

    def __init__(self, message: str, *, parameter: str = "", remedy: str = "") -> None:
        self.message = " ".join(message.split())
        self.parameter, self.remedy = parameter, " ".join(remedy.split())
        super().__init__(self.worded(lambda name: None))

    def worded(self, spelled: Callable[[str], str | None]) -> str:
        """The text with another spelling of each parameter.

        Parameters
        ----------
        spelled : Callable[[str], str | None]
            Maps the Python name of a parameter to its other spelling; None leaves the name unchanged.

        >>> error = InputError("x: is there already", remedy="choose another `out`")
        >>> error.worded({"out": "--out"}.get)
        'x: is there already; choose another --out'
        """
        flag = spelled(self.parameter)
        place = f"{flag} " if flag else f"{self.parameter} = " if self.parameter else ""
        between = " Otherwise " if self.message.endswith("?") else "; "
        text = self.message + (between + self.remedy if self.remedy else "")
        return place + _NAMED.sub(lambda match: spelled(match[1]) or match[0], text)

    def within(self, place: str) -> InputError:
        """The same error, its text preceded by the place where it occurred, such as a file and a line."""
        before = f"{self.parameter} = " if self.parameter else ""
        return InputError(f"{place}: {before}{self.message}", remedy=self.remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        """Tell pickle how to send the error to another process."""
        return _again, (self.message, self.parameter, self.remedy)


def _again(message: str, parameter: str, remedy: str) -> InputError:
    return InputError(message, parameter=parameter, remedy=remedy)
