"""The one exception: what it says in Python and on the command line."""

from __future__ import annotations

import pickle

from gsmflow.base.errors import InputError

FLAGS = {"out": "--out", "normalization": "--normalize"}.get


def test_parameters_are_spelled_as_the_reader_knows_them() -> None:
    error = InputError("clop: expected one of half, none", parameter="normalization", remedy="see `out`")
    assert str(error) == "normalization = clop: expected one of half, none; see `out`"
    assert error.worded(FLAGS) == "--normalize clop: expected one of half, none; see --out"


def test_what_is_no_parameter_stays() -> None:
    error = InputError("x: holds no run; `gsmflow train` makes one, `other` does not")
    assert error.worded(FLAGS) == str(error)


def test_it_is_one_line_and_travels_between_processes() -> None:
    error = InputError("x:\n gone", parameter="out", remedy="wait,\nor do not").within("here")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "here: out = x: gone; wait, or do not"
    assert again.remedy == "wait, or do not"
