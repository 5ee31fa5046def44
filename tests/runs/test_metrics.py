"""What stands in ``metrics.json``: written and read by the same types, and as it always stood there."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from gsmflow.base.errors import InputError
from gsmflow.protocol.choice import Choice, ChosenOn
from gsmflow.runs.metrics import Chosen, Metrics
from gsmflow.scores.gzsl import SCORES, Scores

OLD = sorted(path for path in (Path(__file__).parent / "old").glob("*/metrics.json"))
METRICS = Metrics(
    method="gsmflow",
    problem="P",
    preset="best",
    seed=3,
    protocol="validated",
    scores=Scores(U=0.25, S=0.5, H=1 / 3, T1=math.nan, AUSUC=0.1, per_class={"a": 0.5, "b": 0.25}),
    steps=40,
    seconds={"final": 1.5, "total": 2.0},
    chosen=Chosen(ChosenOn.VALIDATION, Choice(epochs=2.0, head_epochs=3, bias=0.5, U=0.25, S=0.5, H=1 / 3)),
    confidence={"temperature": 1.5, "ECE": 0.1},
    shifts={"semantic": 0.1, "judge": "real test features of unseen classes"},
    oracle=Chosen(ChosenOn.TEST, Choice(epochs=1.0, head_epochs=1, U=math.nan, S=0.5, H=math.nan)),
    more={"version": {"of": "P"}},
)


def test_the_entries_and_their_order() -> None:
    content = METRICS.to_dict()
    assert list(content) == [
        *("method", "problem", "preset", "seed", "protocol", "U", "S", "H", "T1", "AUSUC", "per_class"),
        *("steps", "seconds", "chosen", "confidence", "shifts", "oracle", "version"),
    ]
    assert content["T1"] is None
    assert content["chosen"]["on"] == "validation problem, cut from the training part"
    names = [each.name for each in fields(Choice) if each.name not in ("averaged", "unseen")]
    assert list(content["chosen"]) == ["on", *names]
    assert content["oracle"]["on"] == "the test set: an upper bound, not a result"
    assert content["oracle"]["H"] is None
    last = Metrics("m", "P", "best", 0, "last", METRICS.scores, 0, {"total": 1.0}).to_dict()
    assert not {"chosen", "confidence", "shifts", "oracle", "version"} & last.keys()


def test_what_is_written_is_read_back() -> None:
    read = Metrics.from_dict(json.loads(json.dumps(METRICS.to_dict(), allow_nan=False)), "metrics.json")
    assert read.to_dict() == METRICS.to_dict()
    assert read.chosen == METRICS.chosen
    assert math.isnan(read.scores.T1)
    assert read.oracle is not None
    assert read.oracle.on is ChosenOn.TEST
    assert math.isnan(read.oracle.choice.H)


@pytest.mark.parametrize("file", OLD, ids=lambda file: file.parent.name)
def test_metrics_of_older_runs_are_read_and_written_as_they_were(file: Path) -> None:
    content = json.loads(file.read_text())
    metrics = Metrics.from_dict(content, str(file))
    assert metrics.to_dict() == content
    assert list(metrics.to_dict()) == list(content)
    if "chosen" in content:
        assert metrics.chosen is not None
        assert metrics.chosen.on is ChosenOn.VALIDATION
        chosen = {name: value for name, value in content["chosen"].items() if name != "on"}
        assert asdict(metrics.chosen.choice) == {"averaged": [], "unseen": None} | chosen


def test_there_are_older_runs() -> None:
    assert len(OLD) >= 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"H": ...}, "m.json: 'H' is missing"),
        ({"seconds": ...}, "m.json: 'seconds' is missing"),
        ({"chosen": {"on": "the weather"}}, "m.json: 'chosen': not as a run writes it .*the weather"),
        ({"chosen": {"epochs": 2.0}}, "m.json: 'chosen': not as a run writes it .*on"),
        (
            {"chosen": {"on": ChosenOn.TEST.value, "luck": 1}},
            "m.json: 'chosen': not as a run writes it .*luck",
        ),
        ({"oracle": 3}, "m.json: 'oracle': not as a run writes it"),
    ],
)
def test_a_damaged_entry_is_named(change: dict[str, Any], words: str) -> None:
    content = {k: v for k, v in (METRICS.to_dict() | change).items() if v is not ...}
    with pytest.raises(InputError, match=words) as raised:
        Metrics.from_dict(content, "m.json")
    assert "\n" not in str(raised.value)


def test_metrics_that_are_no_object_are_refused() -> None:
    with pytest.raises(InputError, match="expected an object of metrics, found list"):
        Metrics.from_dict([], "m.json")


def test_every_score_has_its_name() -> None:
    assert {each.name for each in fields(Scores)} == {*SCORES, "per_class"}
