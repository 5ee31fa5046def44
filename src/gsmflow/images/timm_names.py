"""The names of timm's models, read from its source files: importing timm takes as long as importing torch."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.suggest import instead_of

_MADE = re.compile(r"^@register_model\s*\ndef (\w+)\(", re.MULTILINE)
_RENAMED = re.compile(r"register_model_deprecations\(\w+, \{(.*?)\n?\}\)", re.DOTALL)
_KEY = re.compile(r"['\"]([\w.]+)['\"]\s*:")
_FEWEST = 500  # with fewer names, timm has another layout than known here, and its own list is used


def check_name(name: str) -> None:
    """Refuse the name of a model that timm does not have.

    Raises
    ------
    InputError
        Timm does not have it, or is not installed.
    """
    if find_spec("timm") is None:
        raise InputError(
            f"{name}: needs timm: {installing('images')}; or name an .onnx or TorchScript file",
            parameter="backbone",
        )
    known = names()
    # A name with another kind of place, such as hf-hub:OWNER/NAME, is timm's own business.
    if (
        len(known) >= _FEWEST
        and ":" not in name
        and name.partition(".")[0] not in known
        and name not in known
    ):
        raise InputError(
            f"{name}: neither a model of timm nor a file ending in .onnx or .pt; {instead_of(name, sorted(known))}",
            parameter="backbone",
        )


@cache
def names() -> frozenset[str]:
    """All names that timm's source files register; empty if they cannot be read."""
    spec = find_spec("timm")
    folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
    known: set[str] = set()
    for file in sorted(folder.glob("*.py")) if folder else ():
        text = file.read_text(encoding="utf-8", errors="replace")
        known.update(_MADE.findall(text))
        for renamed in _RENAMED.findall(text):
            known.update(_KEY.findall(renamed))
    return frozenset(known)
