"""Checkpoints of the authors' program: read without running them, and the same flow as FrEIA's."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from FrEIA.framework import ConditionNode, GraphINN, InputNode, Node, OutputNode
from FrEIA.modules import Flatten, GLOWCouplingBlock
from torch import Tensor, nn

from flow.freia import subnet
from gsmflow.checkpoints import read_checkpoint
from gsmflow.cli import _run
from gsmflow.errors import InputError
from gsmflow.flow import semantic_anchors
from gsmflow.methods.gsmflow import GSMFlow
from quick import PROBLEM, problem

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
        kept = {
            "it": 501,
            "state_dict_1": flow,
            "state_dict_2": positioning,
            "random_seed": 6152,
            "log": "Iter",
        }
        torch.save(kept, path)


@pytest.fixture(scope="module")
def published() -> Published:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return Published().requires_grad_(False)


@pytest.mark.parametrize("old", [True, False])
def test_the_flow_is_the_one_that_was_saved(published: Published, old: bool, tmp_path: Path) -> None:
    file = tmp_path / "Iter_500.tar"
    published.save(file, old=old)
    kept = read_checkpoint(file)
    assert (kept.blocks, kept.hidden, kept.global_semantic) == (BLOCKS, HIDDEN, G)
    assert (kept.feature_dim, kept.semantic_dim, kept.iteration, kept.seed) == (D, A, 501, 6152)
    model = GSMFlow.from_state(kept.weights, 1.0)
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
        assert _run(["import", str(file), PROBLEM, *SETTINGS, "--out", str(out), "--json"], False) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["protocol"] == protocol
        assert said["steps"] == 501
        assert _run(["evaluate", str(out), "--json"], False) == 0
        assert json.loads(capsys.readouterr().out)["H"] == pytest.approx(said["H"], abs=1e-9)
    new = ["--name", "okapi", "--attributes", "0.1,0.4,-0.3,0.2,0.5,-0.1"]
    assert _run(["add-class", str(tmp_path / "last"), *new], False) == 0
    capsys.readouterr()
    assert _run(["import", str(file), PROBLEM, "--out", str(out)], False) == 2
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
    assert _run(["import", str(file), PROBLEM, "--out", str(tmp_path / "run")], False) == 2
    said = capsys.readouterr().err
    assert "could run code" in said
    assert len(said.splitlines()) == 1
    assert not target.exists()
    (tmp_path / "plain.tar").write_bytes(pickle.dumps(Harmful(target)))
    with pytest.raises(InputError, match="could run code"):
        read_checkpoint(tmp_path / "plain.tar")
    assert not target.exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda kept: kept.pop("state_dict_2"), "'state_dict_2' is missing"),
        (lambda kept: kept["state_dict_1"].clear(), "no coupling blocks"),
        (lambda kept: kept["state_dict_1"].pop("cinn.module_list.1.s1.0.bias"), "layer"),
        (lambda kept: kept["state_dict_1"].update({"conv.weight": torch.zeros(1)}), "'conv.weight'"),
        (lambda kept: kept["state_dict_2"].pop("individuals.1.vertice"), "not complete"),
        (lambda kept: kept.update(state_dict_1=[1]), "holds no weights"),
    ],
)
def test_other_files_are_refused(published: Published, spoil: Any, message: str, tmp_path: Path) -> None:
    file = tmp_path / "Iter_1.tar"
    published.save(file)
    kept = torch.load(file, weights_only=True)
    spoil(kept)
    torch.save(kept, file)
    with pytest.raises(InputError, match=message):
        read_checkpoint(file)


def test_other_files_and_data_are_refused(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "Iter_1.tar"
    assert _run(["import", str(file), PROBLEM], False) == 2
    assert "cannot be read" in capsys.readouterr().err
    file.write_bytes(b"no checkpoint")
    assert _run(["import", str(file), PROBLEM], False) == 2
    assert "damaged" in capsys.readouterr().err
    published.save(file)
    assert _run(["import", str(file), "digits"], False) == 2
    assert "trained on 10 feature dimensions, but digits has 64" in capsys.readouterr().err
    other = PROBLEM.replace("a=6", "a=6,seed=3")
    assert _run(["import", str(file), other, *SETTINGS, "--out", str(tmp_path / "run")], False) == 0
    assert "trained with others" in capsys.readouterr().err
