"""The header of a variable in a MATLAB file: its shape, its class, and how to convert unsuitable classes."""

from __future__ import annotations

from dataclasses import dataclass

_NUMERIC = {"double", "single", "logical"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_TEXTS = {"cell", "char"}
_TO_NUMBERS = {
    "cell": "cell2mat({0}), or the number of each text, [~, {0}] = ismember({0}, NAMES)",
    "char": "str2num({0})",
    "containers.Map": "cell2mat(values({0}))",
    "datetime": "posixtime({0})",
    "dictionary": "values({0})",
    "duration": "seconds({0})",
    "function_handle": "{0}()",
    "struct": "{0}.FIELD, with the name of the field that is meant",
    "table": "table2array({0})",
    "timetable": "{0}.Variables",
}
_TO_TEXTS = {
    **dict.fromkeys(("double", "single"), "cellstr(num2str({0}(:)))"),
    "containers.Map": "keys({0})'",
    "dictionary": "cellstr(keys({0}))",
    "struct": "{0}.FIELD, with the name of the field that is meant",
    "table": "cellstr(table2array({0}))",
}


@dataclass(frozen=True)
class Variable:
    """The header of a variable.

    Parameters
    ----------
    shape : tuple[int, ...]
        Sizes in the order of MATLAB's axes; empty for objects, whose header has no shape.
    kind : str
        Its MATLAB class, such as ``double``, ``cell``, ``string`` or ``table``; empty if a file from another
        program does not state it.
    sparse : bool
        Whether only the entries that are not zero are stored.
    size : int
        Bytes it takes in the file, if that is known.
    """

    shape: tuple[int, ...]
    kind: str
    sparse: bool = False
    size: int = 0

    def not_numbers(self, name: str) -> str:
        """Why a variable cannot be read as numbers, and what to do; empty if nothing prevents it.

        >>> Variable((), "categorical").not_numbers("labels")
        'is of MATLAB class categorical, expected numbers; in MATLAB set labels = double(labels) and save again'
        """
        if not self.kind or self.kind in _NUMERIC:
            return ""
        return self._odd("numbers", _TO_NUMBERS.get(self.kind, "double({0})").format(name), name)

    def not_texts(self, name: str) -> str:
        """Why a variable cannot be read as texts, and what to do; empty if nothing prevents it."""
        if not self.kind or self.kind in _TEXTS:
            return ""
        return self._odd("a cell array of texts", _TO_TEXTS.get(self.kind, "cellstr({0})").format(name), name)

    def _odd(self, expected: str, remedy: str, name: str) -> str:
        return f"is of MATLAB class {self.kind}, expected {expected}; in MATLAB set {name} = {remedy} and save again"
