"""What model files say before they are opened: the size of pictures, damage, and names that timm does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gsmflow.base.errors import InputError
from gsmflow.images import timm_names
from gsmflow.images.backbone import BackboneSpec
from gsmflow.images.onnx_header import inputs_of, picture_side
from gsmflow.images.torchscript_archive import refuse_pickle
from support.pictures import SIDE, mean_colour_model, patches_model, torchscript_model


def test_shapes_of_an_onnx_file(tmp_path: Path) -> None:
    file = patches_model(tmp_path / "model.onnx")
    assert inputs_of(file) == [(None, 3, SIDE, SIDE)]
    assert inputs_of(mean_colour_model(tmp_path / "fixed.onnx", batch=4)) == [(4, 3, SIDE, SIDE)]
    content = file.read_bytes()
    for end in range(0, len(content), 7):
        file.write_bytes(content[:end])
        with pytest.raises(InputError, match=r"not a readable ONNX model|is empty"):
            inputs_of(file)
        assert picture_side(file) is None


def test_the_size_of_pictures_is_the_models_own(tmp_path: Path) -> None:
    file = patches_model(tmp_path / "model.onnx")
    spec = BackboneSpec.of(str(file))
    assert spec.preprocessing is not None
    assert spec.preprocessing.size == SIDE
    spec.check()
    other = BackboneSpec.of(str(file), preprocessing={"size": 64})
    with pytest.raises(InputError, match=f"takes pictures of {SIDE} x {SIDE} pixels, not 64") as refused:
        other.check()
    assert refused.value.remedy == f"extract with `size` {SIDE}"


def test_a_torchscript_module_is_told_from_a_checkpoint(tmp_path: Path) -> None:
    file = torchscript_model(tmp_path / "model.pt")
    refuse_pickle(file)
    content = file.read_bytes()
    for end in (0, 100, len(content) - 40):
        file.write_bytes(content[:end])
        with pytest.raises(InputError, match="not a TorchScript module"):
            refuse_pickle(file)


def test_names_that_timm_does_not_have(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models = tmp_path / "timm" / "models"
    models.mkdir(parents=True)
    (tmp_path / "timm" / "__init__.py").touch()
    registered = "".join(
        f"@register_model\ndef net{i}(pretrained=False, **kwargs):\n    pass\n\n" for i in range(600)
    )
    (models / "nets.py").write_text(
        registered + "register_model_deprecations(__name__, {\n    'oldnet.v1': 'net1.v1',\n})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    timm_names.names.cache_clear()
    try:
        for name in ("net7", "net7.some_weights", "oldnet.v1", "hf-hub:someone/net"):
            timm_names.check_name(name)
        with pytest.raises(InputError, match=r"net601: neither a model of timm .*; did you mean 'net"):
            timm_names.check_name("net601")
        (models / "nets.py").write_text("")  # laid out otherwise: timm itself has to say
        timm_names.names.cache_clear()
        timm_names.check_name("net601")
    finally:
        timm_names.names.cache_clear()


def test_timms_own_names_are_found() -> None:
    timm = pytest.importorskip("timm")
    assert set(timm.list_models()) <= timm_names.names()
