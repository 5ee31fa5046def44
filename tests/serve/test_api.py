"""What the service answers, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.images.opening import open_backbone
from gsmflow.images.reading import read_image
from gsmflow.runs.examples import Examples
from gsmflow.runs.folder import load_backbone, load_classifier
from gsmflow.serve.app import create_app
from gsmflow.serve.images import extractor_of
from gsmflow.serve.limits import Limits
from gsmflow.serve.reasons import reasons
from gsmflow.serve.service import Service
from gsmflow.serve.texts import encoder_of
from support.pictures import SIDE, digits, patches_model
from support.recipes import ARGUMENTS

VECTOR = [0.9, -0.4, 0.3, 0.2, 0.5, -0.1]


def samples(run: Path) -> NDArray[np.float32]:
    return Examples.read(run / "examples.safetensors").features


def pixels(content: bytes) -> NDArray[np.float32]:
    """A backbone for tests: the first ten pixels."""
    try:
        return np.asarray(Image.open(io.BytesIO(content)).convert("L"), np.float32).ravel()[:10] / 255
    except UnidentifiedImageError:
        raise InputError("image: not a readable image file") from None


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_probabilities_are_those_of_the_run(client: TestClient, run: Path) -> None:
    features = samples(run)
    answer = client.post("/v1/predict", json={"features": features.tolist(), "top": 12}).json()
    classifier = load_classifier(run)
    expected = classifier.probabilities(features)
    assert answer["run"] == "run"
    assert len(answer["predictions"]) == len(features)
    for prediction, row in zip(answer["predictions"], expected, strict=True):
        ranked = prediction["classes"]
        assert [entry["probability"] for entry in ranked] == sorted(row, reverse=True)
        assert [row[entry["index"]] for entry in ranked] == [entry["probability"] for entry in ranked]
        for entry in ranked:
            assert entry["name"] == classifier.classes[entry["index"]]
            assert entry["seen"] == (entry["index"] not in classifier.unseen)
    assert (
        len(client.post("/v1/predict", json={"features": features[:1].tolist()}).json()["predictions"]) == 1
    )


def test_it_says_what_it_serves(client: TestClient, run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    told = client.get("/v1/run").json()
    assert told["dimensions"] == ["legs", "<b>wings</b>", "stripes", "horns", "spots", "fins"]
    assert told["scores"] == {key: metrics[key] for key in "USH"}
    assert (told["feature_dim"], told["seen"], told["unseen"]) == (10, 9, 3)
    classes = client.get("/v1/classes").json()["classes"]
    assert [entry["name"] for entry in classes] == list(load_classifier(run).classes)
    assert [entry["added"] for entry in classes] == [False] * 12
    detail = client.get("/v1/classes/4").json()
    described = (run / "semantics.csv").read_text().splitlines()[5].split(",")
    assert [entry["value"] for entry in detail["attributes"]] == pytest.approx(
        [float(value) for value in described[1:]]
    )
    assert all(entry["low"] <= entry["value"] <= entry["high"] for entry in detail["attributes"])
    assert client.get("/health").json() == {"status": "ok", "run": "run", "classes": 12, "adding": False}


def test_examples_can_be_asked_about(client: TestClient, run: Path) -> None:
    examples = Examples.read(run / "examples.safetensors")
    listed = client.get("/v1/examples").json()
    assert listed["image_shape"] is None
    assert [entry["label"] for entry in listed["examples"]] == examples.labels.tolist()
    features = client.get("/v1/examples/5").json()["features"]
    assert np.array_equal(np.float32(features), examples.features[5])
    assert client.get(f"/v1/examples/{len(examples.labels)}").status_code == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "the body: not JSON from character 1 on"),
        ('{"features": [', "the body: not JSON from character 14 on"),
        ("", "body"),
        ("[]", "the body"),
        ('{"features": []}', "features"),
        ('{"features": [[1, 2]]}', "sample 0 has 2 values, expected 10"),
        ('{"features": [[0,0,0,0,0,0,0,0,0,0], [1]]}', "sample 1 has 1 values"),
        ('{"features": [[0,0,0,0,0,0,0,0,0,NaN]]}', "finite"),
        ('{"features": [[0,0,0,0,0,0,0,0,0,"x"]]}', "features.0.9"),
        ('{"features": [[0,0,0,0,0,0,0,0,0,1e300]]}', "too far from the training features"),
        ('{"features": [[0,0,0,0,0,0,0,0,0,0]], "top": 0}', "top"),
        ('{"features": [[0,0,0,0,0,0,0,0,0,0]], "tpo": 1}', "tpo"),
    ],
)
def test_what_is_wrong_with_features_is_said(client: TestClient, body: str, message: str) -> None:
    answer = client.post("/v1/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


def test_json_has_to_be_called_so(client: TestClient) -> None:
    answer = client.post("/v1/predict", content=json.dumps({"features": [[0] * 10]}))
    assert answer.status_code == 422
    assert answer.json()["detail"] == "the body: expected JSON, with Content-Type: application/json"


def test_an_added_class_answers_from_then_on(client: TestClient, run: Path) -> None:
    before = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
    named = dict(zip(client.get("/v1/run").json()["dimensions"], VECTOR, strict=True))
    created = client.post("/v1/classes", json={"name": " <b>okapi</b> ", "semantics": named})
    assert created.status_code == 201
    said = created.json()
    assert (said["run"], said["index"], said["name"]) == ("run-v2", 12, "<b>okapi</b>")
    assert said["before"]["H"] == json.loads(before["metrics.json"])["H"]
    assert {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()} == before
    classes = client.get("/v1/classes").json()
    assert classes["run"] == "run-v2"
    assert classes["classes"][12] == {"index": 12, "name": "<b>okapi</b>", "seen": False, "added": True}
    detail = client.get("/v1/classes/12").json()
    assert [entry["value"] for entry in detail["attributes"]] == pytest.approx(VECTOR)
    features = samples(run).tolist()
    answer = client.post("/v1/predict", json={"features": features, "top": 13}).json()
    expected = load_classifier(run.with_name("run-v2")).probabilities(samples(run))
    for prediction, row in zip(answer["predictions"], expected, strict=True):
        assert {e["index"]: e["probability"] for e in prediction["classes"]} == dict(enumerate(row))
    again = client.post("/v1/classes", json={"name": "<b>okapi</b>", "semantics": VECTOR[::-1]})
    assert again.status_code == 409
    more = client.post("/v1/classes", json={"name": "quagga", "semantics": VECTOR[::-1]}).json()
    assert more["run"] == "run-v3"


def test_a_class_like_another_differs_only_in_what_is_said(client: TestClient, run: Path) -> None:
    name = load_classifier(run).classes[4]
    asked = {"name": "quagga", "like": name, "semantics": {"legs": 4.5}}
    assert client.post("/v1/classes", json=asked).status_code == 201
    new, like = (client.get(f"/v1/classes/{index}").json()["attributes"] for index in (12, 4))
    assert [entry["value"] for entry in new] == [4.5, *(entry["value"] for entry in like[1:])]


def test_a_class_is_described_by_a_sentence_where_there_is_an_encoder(served: Any, run: Path) -> None:
    sentences: list[str] = []

    def encode(sentence: str) -> NDArray[np.float32]:
        sentences.append(sentence)
        return np.array(VECTOR, np.float32)

    client = TestClient(served(encode=encode))
    assert client.get("/v1/run").json()["takes_text"] is True
    assert client.post("/v1/classes", json={"name": "okapi", "text": "a short giraffe"}).status_code == 201
    assert sentences == ["a short giraffe"]
    detail = client.get("/v1/classes/12").json()
    assert [entry["value"] for entry in detail["attributes"]] == pytest.approx(VECTOR)
    both = client.post("/v1/classes", json={"name": "b", "text": "c", "semantics": VECTOR})
    assert (both.status_code, "leave out semantics" in both.json()["detail"]) == (422, True)


def test_an_encoder_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from gsmflow.semantics import encoder

    monkeypatch.setattr(encoder, "open_encoder", lambda *_: lambda texts: np.eye(len(texts), 4) * 3)
    with pytest.raises(
        InputError, match="gives 4 dimensions, but the classes of this run are described by 6"
    ):
        encoder_of("some", 6, torch.device("cpu"))
    assert encoder_of("some", 4, torch.device("cpu"))("a").tolist() == [1, 0, 0, 0]


def test_reasons_are_weight_times_value(client: TestClient, run: Path) -> None:
    """Against scikit-learn's ridge on the standardized semantics."""
    from sklearn.linear_model import Ridge

    classifier, features = load_classifier(run), samples(run)[:3]
    semantics = np.array(
        [line.rsplit(",", 6)[1:] for line in (run / "semantics.csv").read_text().splitlines()[1:]]
    )
    values = semantics.astype(float)
    standard = (values - values.mean(axis=0)) / values.std(axis=0)
    asked = {"features": features.tolist(), "top": 3, "explain": 4}
    answer = client.post("/v1/predict", json=asked).json()
    names = client.get("/v1/run").json()["dimensions"]
    for prediction, z in zip(answer["predictions"], classifier.logits(features), strict=True):
        scaled = z.astype(float) / classifier.temperature
        scaled = np.maximum(scaled, scaled.max() - 30)
        ridge = Ridge(alpha=1.0).fit(standard, scaled)
        assert prediction["explained"] == pytest.approx(ridge.score(standard, scaled))
        told = prediction["reasons"]
        assert len(told) == 4
        listed = [entry["index"] for entry in prediction["classes"]]
        apart = []
        for reason in told:
            d = names.index(reason["name"])
            assert reason["weight"] == pytest.approx(ridge.coef_[d])
            assert reason["contributions"] == pytest.approx((ridge.coef_[d] * standard[listed, d]).tolist())
            apart.append(abs(reason["contributions"][0] - np.mean(reason["contributions"][1:])))
        assert apart == sorted(apart, reverse=True)
    assert (
        client.post("/v1/predict", json={"features": features.tolist()}).json()["predictions"][0]["reasons"]
        == []
    )


def test_reasons_where_there_are_more_dimensions_than_classes() -> None:
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    semantics, logits = rng.normal(size=(5, 40)), rng.normal(size=5)
    standard = (semantics - semantics.mean(axis=0)) / semantics.std(axis=0)
    told = reasons(logits, semantics, np.array([logits.argmax(), 0]))
    assert told.weights == pytest.approx(Ridge(alpha=1.0).fit(standard, logits).coef_)
    alike = reasons(np.zeros(5), semantics, np.array([0]))
    assert (alike.explained, np.abs(alike.weights).max()) == (0, 0)


def test_the_reference_is_grouped_and_its_examples_work(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    groups = [tag["name"] for tag in described["tags"]]
    operations = [each for path in described["paths"].values() for each in path.values()]
    assert groups == ["Label", "Classes", "Samples", "Service"]
    assert all(len(each["tags"]) == 1 and each["tags"][0] in groups for each in operations)
    names = {each["operationId"] for each in operations}
    assert {"label_picture", "label_samples", "list_classes", "add_class", "get_run"} <= names
    assert len(names) == len(operations)
    for number, (path, status) in enumerate([("/v1/predict", 200), ("/v1/classes", 201)]):
        content = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content["examples"]
        for name, example in content["examples"].items():
            body = example["value"]
            if "name" in body:
                body = body | {"name": f"{name} {number}"}
            assert client.post(path, json=body).status_code == status, example


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "okapi", "like": "nothing"}, "no class 'nothing'"),
        ({"name": "okapi", "like": "{like}", "semantics": VECTOR}, "by name"),
        ({"name": "okapi", "like": "{like}", "semantics": {"leggs": 4}}, "did you mean 'legs'?"),
        ({"name": "okapi", "text": "a short giraffe"}, "no text encoder"),
        ({"name": " ", "semantics": VECTOR}, "name"),
        ({"name": "a\nb", "semantics": VECTOR}, "cannot be printed"),
        ({"name": "\ud800", "semantics": VECTOR}, "unicode"),
        ({"name": "okapi", "semantics": VECTOR[:3]}, "3 values, expected 6"),
        ({"name": "okapi", "semantics": [0, 0, 0, 0, 0, 0]}, "all zeros"),
        ({"name": "okapi", "semantics": [1e300, 0, 0, 0, 0, 0]}, "not a finite number"),
        ({"name": "okapi", "semantics": {"legs": 4}}, "are missing; give each dimension a value"),
        ({"name": "okapi", "semantics": {"leggs": 4}}, "did you mean 'legs'?"),
        ({"name": "okapi"}, "semantics"),
    ],
)
def test_what_is_wrong_with_a_class_is_said(
    client: TestClient, run: Path, asked: dict[str, Any], message: str
) -> None:
    asked = {
        key: load_classifier(run).classes[4] if value == "{like}" else value for key, value in asked.items()
    }
    answer = client.post(
        "/v1/classes", content=json.dumps(asked), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert [entry.name for entry in run.parent.iterdir()] == ["run"]


def test_a_run_whose_data_are_gone_says_so(client: TestClient, run: Path) -> None:
    (run / "data.safetensors").unlink()
    config = run / "config.toml"
    config.write_text(config.read_text().replace("/data", "/nowhere"))
    (run / "checksums.txt").unlink()
    answer = client.post("/v1/classes", json={"name": "okapi", "semantics": VECTOR})
    assert answer.status_code == 422
    assert "--keep-data" in answer.json()["detail"]
    assert client.get("/health").json()["adding"] is False


def test_one_class_is_added_at_a_time(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(self: Service, name: str, semantics: Any) -> None:
        assert self._adding.acquire(blocking=False)
        try:
            original(self, name, semantics)
        finally:
            self._adding.release()

    original = Service.add_class
    monkeypatch.setattr(Service, "add_class", busy)
    answer = TestClient(served()).post("/v1/classes", json={"name": "okapi", "semantics": VECTOR})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


def test_new_classes_can_be_switched_off(served: Any) -> None:
    client = TestClient(served(read_only=True))
    assert client.post("/v1/classes", json={"name": "okapi", "semantics": VECTOR}).status_code == 403
    assert client.get("/v1/run").json()["adds_classes"] is False


def test_images_need_a_backbone(client: TestClient, served: Any, run: Path) -> None:
    refused = client.post("/v1/predict/image", files={"image": ("a.png", picture())})
    assert refused.status_code == 409
    assert "remembers no backbone" in refused.json()["detail"]
    able = TestClient(served(extractor=pixels))
    assert able.get("/v1/run").json()["takes_images"] is True
    answer = able.post("/v1/predict/image?top=2", files={"image": ("a.png", picture())})
    ranked = answer.json()["predictions"][0]["classes"]
    expected = load_classifier(run).probabilities(pixels(picture())[None])[0]
    assert [entry["index"] for entry in ranked] == np.argsort(-expected)[:2].tolist()
    broken = able.post("/v1/predict/image", files={"image": ("a.png", b"no image")})
    assert (broken.status_code, broken.json()["detail"]) == (422, "image: not a readable image file")
    assert able.post("/v1/predict/image").status_code == 422


def test_a_run_on_images_takes_images(tmp_path: Path) -> None:
    """From pictures in a folder to an answer about a picture: the same as by hand, and from several threads."""
    data = tmp_path / "data"
    files = digits(data / "images", 150, leave_out=(3,))
    rows = [f"digit {n},{','.join(str(int(bit)) for bit in f'{n + 1:04b}')}" for n in range(10)]
    (data / "classes.csv").write_text("\n".join(["name,a,b,c,d", *rows]) + "\n")
    model, run = patches_model(tmp_path / "model.onnx"), tmp_path / "run"
    whole = ["--size", str(SIDE), "--crop", "1"]
    extracted = ["extract", str(data / "images"), "--backbone", str(model), *whole]
    assert main([*extracted, "-o", str(data / "features.npz")]) == 0
    assert main(["train", str(data), *ARGUMENTS, "--protocol", "last", "--out", str(run)]) == 0
    cpu = torch.device("cpu")
    extractor = extractor_of(run, cpu)
    assert extractor
    app = create_app(
        Service(run, data_root=tmp_path, device=cpu, extractor=extractor), Limits(hosts=(), computing=4)
    )
    backbone = open_backbone(load_backbone(run), cpu)
    classifier = load_classifier(run)

    async def ask() -> list[list[int]]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://test"
        ) as client:
            asked = [
                client.post("/v1/predict/image?top=10", files={"image": (f.name, f.read_bytes())})
                for f in files[:24]
            ]
            answers = await asyncio.gather(*asked)
        return [[entry["index"] for entry in a.json()["predictions"][0]["classes"]] for a in answers]

    answers = asyncio.run(ask())
    pictures = np.stack([backbone.prepare(read_image(file)) for file in files[:24]])
    expected = classifier.probabilities(backbone.features(pictures))
    assert answers == np.argsort(-expected, axis=1, kind="stable").tolist()
    client = TestClient(app)
    broken = client.post("/v1/predict/image", files={"image": ("a.png", files[0].read_bytes()[:100])})
    assert broken.status_code == 422
    assert broken.json()["detail"].startswith("image: ")
    added = client.post("/v1/classes", json={"name": "ten", "semantics": [1, 0, 1, 1.5]})
    assert added.status_code == 201
    assert extractor_of(run.with_name("run-v2"), cpu) is not None
    model.unlink()
    with pytest.raises(InputError, match="name the model's file by `backbone`"):
        extractor_of(run, cpu)


def test_a_token_is_asked_for(served: Any) -> None:
    client = TestClient(served(token="secret"))
    for address in ("/v1/run", "/v1/classes", "/metrics", "/v1/examples", "/v1/nothing"):
        none, wrong = client.get(address), client.get(address, headers={"Authorization": "Bearer Secret"})
        assert none.status_code == wrong.status_code == 401, address
        assert "a token is needed" in none.json()["detail"]
        assert "not the token" in wrong.json()["detail"]
    assert client.post("/v1/predict", content="{").status_code == 401
    for address in ("/", "/health", "/docs", "/openapi.json"):
        assert client.get(address).status_code == 200, address
    allowed = {"Authorization": "Bearer secret"}
    assert client.get("/v1/run", headers=allowed).status_code == 200
    assert "HTTPBearer" in client.get("/openapi.json").json()["components"]["securitySchemes"]


def test_other_names_are_not_answered_on_loopback(client: TestClient) -> None:
    assert client.get("/v1/run", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/v1/run", headers={"Host": "127.0.0.1:8000"}).status_code == 200


def test_large_requests_are_refused(served: Any) -> None:
    client = TestClient(served(megabytes=0.01))

    def streamed() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 1000

    for content in (b" " * 20_000, streamed()):  # announced, and found out on the way
        answer = client.post("/v1/predict", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert "0.01 MiB" in answer.json()["detail"]


def test_requests_are_counted(client: TestClient, run: Path) -> None:
    client.post("/v1/predict", json={"features": samples(run)[:3].tolist()})
    client.post("/v1/predict", json={"features": [[1]]})
    client.get("/made/up")
    lines = client.get("/metrics").text.splitlines()
    assert 'gsmflow_requests_total{method="POST",path="/v1/predict",status="200"} 1.0' in lines
    assert 'gsmflow_requests_total{method="POST",path="/v1/predict",status="422"} 1.0' in lines
    assert 'gsmflow_requests_total{method="GET",path="other",status="404"} 1.0' in lines
    assert "gsmflow_samples_total 3.0" in lines
    assert "gsmflow_classes 12.0" in lines


def test_the_page_lets_nothing_else_run(client: TestClient) -> None:
    for address in ("/", "/page.css", "/page.js"):
        answer = client.get(address)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "https://" not in client.get("/docs").text.replace("https://fastapi", "")
