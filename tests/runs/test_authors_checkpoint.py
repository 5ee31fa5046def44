"""Checkpoints of the authors' program: read without running them, and the same flow as FrEIA's."""

from __future__ import annotations

import json
import os
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from FrEIA.framework import ConditionNode, GraphINN, InputNode, Node, OutputNode
from FrEIA.modules import Flatten, GLOWCouplingBlock
from torch import Tensor, nn

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.flow import semantic_anchors
from gsmflow.flow.model import GSMFlow
from gsmflow.runs.authors_checkpoint import read_checkpoint
from support.freia import subnet
from support.recipes import PROBLEM, problem

D, A, G, HIDDEN, BLOCKS = 10, 6, 8, 12, 3
HEAD = ("head.synthetic_per_class=40", "head.epochs=6", "head.batch_size=64", "head.learning_rate=0.02")
SETTINGS = [part for each in HEAD for part in ("--set", each)]


class Published(nn.Module):
    """The published program's model: a FrEIA graph and one linear layer an anchor."""

    def __init__(self) -> None:
        super().__init__()
        condition = ConditionNode(G)
        nodes: list[Node] = [InputNode(D)]
        nodes.append(Node(nodes[-1], Flatten, {}))
        for _ in range(BLOCKS):
            options = {"subnet_constructor": lambda i, o: subnet(i, o, HIDDEN), "clamp": 1.0}
            nodes.append(Node(nodes[-1], GLOWCouplingBlock, options, conditions=condition))
        self.cinn = GraphINN([*nodes, condition, OutputNode(nodes[-1])], verbose=False)
        self.anchors = semantic_anchors(torch.from_numpy(problem().semantics))
        self.layers = nn.ModuleList(nn.Linear(A, G) for _ in range(3))

    def reverse(self, z: Tensor, semantics: Tensor) -> Tensor:
        pairs = zip(self.layers, self.anchors, strict=True)
        g = sum(torch.relu(layer(semantics - anchor)) for layer, anchor in pairs)
        return self.cinn(z, c=[g], rev=True)[0]

    def save(self, path: Path, *, old: bool = True) -> None:
        """As the program does, with the FrEIA of its time: other names, and the latest batch saved along."""
        flow = OrderedDict((n, t) for n, t in self.state_dict().items() if n.startswith("cinn."))
        if old:
            flow = OrderedDict((n.replace(".subnet", ".s"), t) for n, t in flow.items())
            flow["cinn.tmp_var_0"] = torch.randn(4, D)
        positioning: OrderedDict[str, Tensor] = OrderedDict()
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Linear)
            positioning[f"individuals.{i}.vertice"] = self.anchors[i]
            positioning[f"individuals.{i}.fc.weight"] = layer.weight
            positioning[f"individuals.{i}.fc.bias"] = layer.bias
        checkpoint = {
            "it": 501,
            "state_dict_1": flow,
            "state_dict_2": positioning,
            "random_seed": 6152,
            "log": "Iter",
        }
        torch.save(checkpoint, path)


@pytest.fixture(scope="module")
def published() -> Published:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return Published().requires_grad_(False)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_the_flow_is_the_one_that_was_saved(
    published: Published, old: bool, archive: bool, tmp_path: Path
) -> None:
    file = tmp_path / "Iter_500.tar"
    published.save(file, old=old)
    if not archive:  # as PyTorch wrote files until 1.5
        torch.save(torch.load(file, weights_only=True), file, _use_new_zipfile_serialization=False)
    checkpoint = read_checkpoint(file)
    assert (checkpoint.sizes.blocks, checkpoint.sizes.hidden, checkpoint.sizes.global_semantic) == (
        BLOCKS,
        HIDDEN,
        G,
    )
    assert (checkpoint.sizes.feature_dim, checkpoint.semantic_dim, checkpoint.iteration, checkpoint.seed) == (
        D,
        A,
        501,
        6152,
    )
    model = GSMFlow.from_state(checkpoint.weights, 1.0)
    semantics, z = torch.from_numpy(problem().semantics), torch.randn(12, D)
    with torch.no_grad():
        conditions = model.flow.condition(model.positioning(semantics))
        ours, _ = model.flow.inverse(z, conditions)
    assert torch.allclose(ours, published.reverse(z, semantics), atol=1e-5)


def test_a_checkpoint_becomes_a_run(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, protocol in (("Best_model_GZSL_H_1.00_S_1.00_U_1.00.tar", "oracle"), ("Iter_500.tar", "last")):
        file, out = tmp_path / name, tmp_path / protocol
        published.save(file)
        assert main(["import", str(file), PROBLEM, *SETTINGS, "--out", str(out), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["protocol"] == protocol
        assert said["steps"] == 501
        assert main(["evaluate", str(out), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["H"] == pytest.approx(said["H"], abs=1e-9)
    new = ["--name", "okapi", "--attributes", "0.1,0.4,-0.3,0.2,0.5,-0.1"]
    assert main(["add-class", str(tmp_path / "last"), *new]) == 0
    capsys.readouterr()
    assert main(["import", str(file), PROBLEM, "--out", str(out)]) == 2
    assert "holds a run already" in capsys.readouterr().err


class Harmful:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


def test_a_malicious_pickle_is_refused(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, file = tmp_path / "hurt", tmp_path / "Iter_1.tar"
    torch.save({"it": 1, "state_dict_1": {}, "state_dict_2": {}, "random_seed": Harmful(target)}, file)
    pickle.loads(pickle.dumps(Harmful(tmp_path / "works")))
    assert (tmp_path / "works").exists()  # it would have done harm
    assert main(["import", str(file), PROBLEM, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "could run code" in said
    assert len(said.splitlines()) == 1
    assert not target.exists()
    (tmp_path / "plain.tar").write_bytes(pickle.dumps(Harmful(target)))
    with pytest.raises(InputError, match="could run code"):
        read_checkpoint(tmp_path / "plain.tar")
    assert not target.exists()


FIRST = "cinn.module_list.1.s1.0.weight"


def replaced(checkpoint: dict[str, Any], name: str, tensor: Tensor) -> None:
    checkpoint["state_dict_1" if name.startswith("cinn") else "state_dict_2"][name] = tensor


# -- files that unpack to far more than they are ----------------------------------------------


class Making:
    """A pickle that the restricted unpickler reads, and that makes a thing of any size."""

    def __init__(self, maker: Any, *arguments: Any) -> None:
        self.maker, self.arguments = maker, arguments

    def __reduce__(self) -> Any:
        return self.maker, self.arguments


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("maker", [bytearray, torch.Tensor])
def test_what_a_file_asks_for_is_not_made(maker: Any, archive: bool, tmp_path: Path) -> None:
    file = tmp_path / "Iter_1.tar"
    torch.save({"it": Making(maker, 1000)}, file, _use_new_zipfile_serialization=archive)
    assert len(torch.load(file, weights_only=True)["it"]) == 1000  # PyTorch does as it is told
    with pytest.raises(InputError, match=f"other objects than tensors, numbers and texts.*{maker.__name__}"):
        read_checkpoint(file)


@pytest.mark.parametrize("archive", [True, False])
def test_a_tensor_of_one_number_repeated(published: Published, archive: bool, tmp_path: Path) -> None:
    """A kilobyte that would be four tebibytes once it is copied."""
    file = tmp_path / "Iter_1.tar"
    published.save(file)
    checkpoint = torch.load(file, weights_only=True)
    checkpoint["state_dict_1"]["cinn.module_list.1.s1.0.weight"] = torch.zeros(1).expand(1 << 20, 1 << 20)
    torch.save(checkpoint, file, _use_new_zipfile_serialization=archive)
    with pytest.raises(InputError, match=r"unpack to 4096\.0 GiB, more than the 1\.0 GiB allowed"):
        read_checkpoint(file)


def _packed(file: Path, records: Iterable[tuple[str, Iterable[bytes]]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records:
            with archive.open(name, "w", force_zip64=True) as out:
                for piece in content:
                    out.write(piece)


def test_an_archive_that_unpacks_to_far_more_than_it_is(tmp_path: Path) -> None:
    file, plain = tmp_path / "Iter_1.tar", tmp_path / "plain.tar"
    torch.save({"it": torch.zeros(3)}, plain)
    with zipfile.ZipFile(plain) as archive:
        records = [(name, [archive.read(name)]) for name in archive.namelist()]
    _packed(file, records)
    assert torch.load(file, weights_only=True)["it"].shape == (3,)  # PyTorch inflates what is packed
    _packed(file, [*records, ("plain/data/1", [bytes(1 << 24)] * 72)])
    assert file.stat().st_size < 2 << 20
    with pytest.raises(InputError, match=r"MiB that unpack to 1\.1 GiB, more than the 1\.0 GiB allowed"):
        read_checkpoint(file)
    _packed(file, [*records, *((f"plain/data/{index}", []) for index in range(1, 10_001))])
    with pytest.raises(InputError, match="records, more than the 10000 allowed"):
        read_checkpoint(file)


@pytest.mark.parametrize("archive", [True, False])
def test_a_pickle_of_very_many_things(archive: bool, tmp_path: Path) -> None:
    file = tmp_path / "Iter_1.tar"
    torch.save({"log": list(range(300_000))}, file, _use_new_zipfile_serialization=archive)
    with pytest.raises(InputError, match="more than 1048576 bytes beside the weights"):
        read_checkpoint(file)


@pytest.mark.parametrize("archive", [True, False])
def test_a_storage_that_is_shorter_than_claimed(archive: bool, tmp_path: Path) -> None:
    file = tmp_path / "Iter_1.tar"
    torch.save({"it": torch.zeros(201)}, file, _use_new_zipfile_serialization=archive)
    claim, far_more = b"K\xc9" + (b"t" if archive else b"Nt"), b"J\0\0\0\x40"
    if archive:
        with zipfile.ZipFile(file) as read:
            records = [(name, read.read(name)) for name in read.namelist()]
        assert sum(each.count(claim) for _, each in records) == 1
        _packed(file, [(name, [each.replace(claim, far_more + claim[2:])]) for name, each in records])
    else:
        content = file.read_bytes()
        assert content.count(claim) == 1
        file.write_bytes(content.replace(claim, far_more + claim[2:]))
    with pytest.raises(InputError, match="damaged"):
        read_checkpoint(file)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda checkpoint: checkpoint.pop("state_dict_2"), "'state_dict_2' is missing"),
        (lambda checkpoint: checkpoint["state_dict_1"].clear(), "no coupling blocks"),
        (lambda checkpoint: checkpoint["state_dict_1"].pop("cinn.module_list.1.s1.0.bias"), "layer"),
        (
            lambda checkpoint: checkpoint["state_dict_1"].update({"conv.weight": torch.zeros(1)}),
            "'conv.weight'",
        ),
        (lambda checkpoint: checkpoint["state_dict_2"].pop("individuals.1.vertice"), "not complete"),
        (lambda checkpoint: checkpoint["state_dict_2"].clear(), "not complete"),
        (
            lambda checkpoint: replaced(checkpoint, "individuals.0.fc.bias", torch.tensor(1.0)),
            r"shape \(\), expected",
        ),
        (
            lambda checkpoint: replaced(checkpoint, "individuals.0.vertice", torch.zeros(2, 2)),
            r"shape \(2, 2\), expected",
        ),
        (
            lambda checkpoint: replaced(checkpoint, FIRST, torch.zeros(12, 13, dtype=torch.complex64)),
            "expected real numbers",
        ),
        (
            lambda checkpoint: replaced(checkpoint, FIRST, torch.full((12, 13), 1e300, dtype=torch.float64)),
            "not finite",
        ),
        (lambda checkpoint: checkpoint.update(state_dict_1=[1]), "holds no weights"),
    ],
)
def test_other_files_are_refused(published: Published, spoil: Any, message: str, tmp_path: Path) -> None:
    file = tmp_path / "Iter_1.tar"
    published.save(file)
    checkpoint = torch.load(file, weights_only=True)
    spoil(checkpoint)
    torch.save(checkpoint, file)
    with pytest.raises(InputError, match=message):
        read_checkpoint(file)


def test_other_files_and_data_are_refused(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Iter_1.tar"
    assert main(["import", str(file), PROBLEM]) == 2
    assert "no such file" in capsys.readouterr().err
    file.write_bytes(b"no checkpoint")
    assert main(["import", str(file), PROBLEM]) == 2
    assert "damaged" in capsys.readouterr().err
    published.save(file)
    assert main(["import", str(file), "digits"]) == 2
    assert "trained on 10 feature dimensions, but digits has 64" in capsys.readouterr().err
    other = PROBLEM.replace("a=6", "a=6,seed=3")
    assert main(["import", str(file), other, *SETTINGS, "--out", str(tmp_path / "run")]) == 0
    assert "trained with others" in capsys.readouterr().err
