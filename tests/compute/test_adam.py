"""Adam's moments: made when they are first needed."""

from __future__ import annotations

import torch

from gsmflow.compute.adam import MasterAdam


def test_weights_that_are_only_loaded_have_no_moments() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = MasterAdam({"w": parameter}, {})
    optimizer.load_masters({"w": torch.arange(3.0)})
    assert "averages" not in vars(optimizer)
    assert "squares" not in vars(optimizer)
    state = optimizer.state()
    assert {name: tensor.tolist() for name, tensor in state.items()} == {
        "master.w": [0, 1, 2],
        "average.w": [0, 0, 0],
        "square.w": [0, 0, 0],
        "step.w": 0,
    }
    optimizer.step(0.5, [(parameter, torch.tensor([1.0, -2.0, 0.0]))])
    assert optimizer.averages["w"].tolist() == [torch.tensor(0.1).item(), torch.tensor(-0.2).item(), 0]
    torch.testing.assert_close(parameter.data, torch.tensor([-0.5, 1.5, 2.0]))
