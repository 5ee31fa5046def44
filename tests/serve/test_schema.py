"""Requests made up from the service's own OpenAPI description: no crash, and only answers that it describes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import torch
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from gsmflow.serve.app import create_app
from gsmflow.serve.limits import Limits
from gsmflow.serve.service import Service

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


OPERATIONS = {
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/v1/run"),
    ("GET", "/v1/classes"),
    ("GET", "/v1/classes/{index}"),
    ("GET", "/v1/examples"),
    ("GET", "/v1/examples/{index}"),
    ("POST", "/v1/predict"),
    ("POST", "/v1/predict/image"),
    ("POST", "/v1/classes"),
}


@pytest.fixture(scope="module")
def operations(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    folder = tmp_path_factory.mktemp("made up") / "run"
    shutil.copytree(trained, folder)
    service = Service(folder, data_root=Path("none"), device=torch.device("cpu"))
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(service, Limits(hosts=())))
    every = [result.ok() for result in schema.get_all_operations()]
    return {(operation.method.upper(), operation.path): operation for operation in every}


def test_all_operations_are_tried(operations: dict[tuple[str, str], Any]) -> None:
    assert set(operations) == OPERATIONS


WRONG = {name for name in OPERATIONS if "{" in name[1] or name[0] == "POST"}  # the others hold nothing
CASES = [(name, "positive") for name in sorted(OPERATIONS)] + [(name, "negative") for name in sorted(WRONG)]


@pytest.mark.parametrize(
    ("name", "mode"), CASES, ids=lambda part: part if isinstance(part, str) else " ".join(part)
)
def test_every_answer_is_one_that_is_described(
    name: tuple[str, str], mode: str, operations: dict[tuple[str, str], Any]
) -> None:
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operations[name].as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def answered(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    answered()
