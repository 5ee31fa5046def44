"""Names of classes that are meant alike, and those that only look so."""

from __future__ import annotations

import pytest

from gsmflow.base.errors import InputError
from gsmflow.files.class_names import Matched, clash, matched, normal

CLASSES = ("l\u00f6we", "polar bear", "Grizzly+bear", "C", "C+", "-1", "1")


SHOWN = {  # what cannot be seen is spelled out
    "lo\u0308we": r"lo\u0308we",
    "polar\u00a0bear": r"polar\xa0bear",
    "polar\u200b bear": r"polar\u200b bear",
}


def matches(*names: str, classes: tuple[str, ...] = CLASSES) -> Matched:
    return matched(names, classes, lambda index: f"row {index} is labelled", "classes.csv")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lo\u0308we", "l\u00f6we"),
        ("L\u00d6WE", "l\u00f6we"),
        ("polar\u00a0bear", "polar bear"),
        (" polar  bear ", "polar bear"),
        ("polar\u200b bear", "polar bear"),
        ("Polar_Bear", "polar bear"),
        ("polar-bear", "polar bear"),
        ("grizzly bear", "Grizzly+bear"),
        ("grizzly_bear", "Grizzly+bear"),
    ],
)
def test_names_that_are_written_otherwise(name: str, meant: str) -> None:
    assert matches(name, meant) == Matched(
        (CLASSES.index(meant),) * 2,
        f"1 written otherwise than their class: '{SHOWN.get(name, name)}' as '{meant}'",
    )


def test_the_very_name_needs_no_note_and_comes_first() -> None:
    assert matches(*CLASSES) == Matched(tuple(range(len(CLASSES))), "")
    assert matches("zebra", "Zebra", classes=("Zebra", "zebra")) == Matched((1, 0), "")


def test_signs_at_the_ends_are_kept() -> None:
    assert [CLASSES[i] for i in matches("c+", "c").index] == ["C+", "C"]
    with pytest.raises(InputError, match=r"'\+1', which has no row in classes\.csv"):
        matches("+1")


@pytest.mark.parametrize("name", ["ZEBRA", "zebra_", "zebra"])
def test_what_may_mean_two_classes_is_refused_with_both(name: str) -> None:
    classes = ("Zebra", "zEBRA") if name != "zebra_" else ("zebra", "horse")
    message = (
        "row 0 is labelled 'ZEBRA', which may mean 'Zebra' or 'zEBRA' in classes.csv; write it as one of them"
    )
    with pytest.raises(InputError) as refused:
        matches(name, classes=classes)
    if name != "zebra_":
        assert str(refused.value) == message.replace("ZEBRA'", f"{name}'", 1)
    else:
        assert "has no row in classes.csv; did you mean 'zebra'?" in str(refused.value)


def test_the_same_name_twice() -> None:
    assert clash(("a", "lo\u0308we", "b", "l\u00f6we")) == (1, 3)
    assert clash(("a", "A", "a-b", "a b")) is None
    assert normal("\u2009a\u202fb\t") == "a b"
