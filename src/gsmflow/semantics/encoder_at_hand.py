"""Which text encoder to use if the user names none: one beside the pictures, one in the cache, or the default."""

from __future__ import annotations

import json
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.hub_cache import AtHand, cached
from gsmflow.semantics.encoder import check_encoder, folder_of

DEFAULT = "all-MiniLM-L6-v2"
_OWNER = "sentence-transformers"


def encoder_at_hand(folder: Path) -> AtHand:
    """The text encoder for classes that are described by names or sentences in a folder. Loads no model.

    The order is: the only encoder in a subfolder; an encoder in the user's cache; the default, which is downloaded.

    Raises
    ------
    InputError
        Sentence-transformers is missing; there are several encoders; or there is none and the default cannot be
        downloaded.
    """
    beside = [each for each in sorted(folder.iterdir()) if each.is_dir() and _is_encoder(each)]
    check_encoder(str(beside[0]) if beside else DEFAULT)
    if len(beside) > 1:
        raise InputError(
            f"{folder}: holds several text encoders ({listed(each.name for each in beside)})",
            remedy=f"name one, such as `encoder` {beside[0]}",
        )
    if beside:
        return AtHand(str(beside[0]), "the encoder there")
    names = sorted(cached(_OWNER, "modules.json"), key=lambda name: (name != DEFAULT, name))
    if names:
        return AtHand.in_cache(names)
    try:
        folder_of(DEFAULT)
    except InputError:
        raise InputError(
            f"{folder}: describing classes by their names takes a text encoder; none is there or in the cache, and "
            f"{DEFAULT} cannot be downloaded",
            remedy=f"fetch the files of https://huggingface.co/{_OWNER}/{DEFAULT} elsewhere, put them into the folder "
            f"{folder / DEFAULT}, or name one by `encoder`; or describe the classes by attributes in "
            f"{folder / 'classes.csv'}",
        ) from None
    return AtHand(DEFAULT, "downloaded")


def _is_encoder(folder: Path) -> bool:
    if (folder / "modules.json").is_file():
        return True
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type") == "clip"
    except (OSError, ValueError, AttributeError):
        return False
