"""Classes that a table writes otherwise than their folders: all are told at once, each with what may be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from gsmflow.base.errors import InputError
from gsmflow.runs.pictured_names import check_pictured, refuse_misspelt

FOLDERS = ("blue ring", "Red_Square", "kite", "triângulo")


def test_all_that_a_table_lacks_with_what_is_meant() -> None:
    check_pictured(Path("p"), FOLDERS, ("red square", "Kite", "blue-ring", "triângulo", "zebra"), "c.csv")
    with pytest.raises(InputError) as refused:
        check_pictured(Path("p"), FOLDERS, ("blue rings", "red square", "Triangulo", "zebra"), "c.csv")
    assert str(refused.value) == (
        "p: 3 classes have no row in c.csv: 'blue ring' (there is 'blue rings'), 'kite', 'triângulo' (there is "
        "'Triangulo'); write them alike where they are one class; otherwise add a row"
    )


def test_what_is_like_no_row() -> None:
    with pytest.raises(InputError) as refused:
        check_pictured(Path("p"), FOLDERS, ("blue ring", "red square", "triângulo", "okapi"), "c.csv")
    assert str(refused.value) == (
        "p: 1 class has no row in c.csv: 'kite'; add a row, or leave the pictures out; known: blue ring, red square, "
        "triângulo, okapi"
    )


def test_all_that_are_misspelt_among_sentences() -> None:
    described = ("blue rings", "Red Square", "Triangulo", "digit 7")
    refuse_misspelt(Path("p"), ("kite", "digit 1"), described, FOLDERS, "s.csv")
    with pytest.raises(InputError) as refused:
        refuse_misspelt(Path("p"), ("kite", "blue ring", "triângulo"), described, FOLDERS, "s.csv")
    assert str(refused.value) == (
        "p: 2 classes have no row in s.csv: 'blue ring' (there is 'blue rings'), 'triângulo' (there is 'Triangulo'); "
        "write them alike where they are one class; otherwise give both a row"
    )
