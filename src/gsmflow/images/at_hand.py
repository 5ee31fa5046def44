"""The backbone that is used if none is named: a model file in the folder, one in the cache, or the default."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.suggest import listed
from gsmflow.files.hub_cache import AtHand
from gsmflow.images.backbone import BACKBONES
from gsmflow.images.backbone_kinds import DEFAULT

_FILE = "model.safetensors"


def backbone_at_hand(*folders: Path) -> AtHand:
    """The backbone to use for the pictures in folders. Loads no model.

    The order is: a single model file directly in one of the folders; a model in the user's cache; the default, which is
    downloaded.

    Raises
    ------
    InputError
        There are several model files, or there is nothing and nothing can be downloaded: the message says which file
        to put where.
    """
    kinds = BACKBONES.those(lambda kind: kind.of_file)
    files = sorted(
        file
        for folder in dict.fromkeys(folders)
        for file in folder.iterdir()
        if file.is_file() and not file.name.startswith(".") and any(k.owns(file.name) for k in kinds)
    )
    if len(files) > 1:
        raise InputError(
            f"{files[0].parent}: holds several models ({listed(file.name for file in files)})",
            remedy=f"name the one that makes the features, such as `backbone` {files[0]}",
        )
    if files:
        return AtHand(str(files[0]), "the model file there")
    for kind in BACKBONES.each():
        names = kind.at_hand()
        if names:
            return AtHand.in_cache(names, f"of {kind.name}, ")
    return _default(folders[0])


def _default(folder: Path) -> AtHand:
    put = f"put an image model that gives features into {folder} (.onnx or TorchScript .pt)"
    if find_spec("timm") is None:
        raise InputError(
            f"{folder}: no model that makes features of pictures",
            remedy=f"{put} or name one by `backbone`; or {installing('images')}, which brings timm's models",
        )
    from huggingface_hub import hf_hub_download

    repository = f"timm/{DEFAULT}"
    try:
        hf_hub_download(repository, _FILE)
    except Exception as error:  # the library raises various errors
        raise InputError(
            f"{folder}: no model that makes features of pictures, and {DEFAULT} cannot be downloaded "
            f"({type(error).__name__})",
            remedy=f"{put}; or fetch https://huggingface.co/{repository}/resolve/main/{_FILE} elsewhere and add "
            f"`backbone` {DEFAULT} `weights` {_FILE}",
        ) from None
    return AtHand(DEFAULT, "of timm, downloaded")
