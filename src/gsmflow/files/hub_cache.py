"""Models in the shared cache of Hugging Face's libraries, listed without a network and without loading a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gsmflow.base.suggest import listed


@dataclass(frozen=True)
class AtHand:
    """A model that was found although the user named none.

    Parameters
    ----------
    name : str
        Its name, as the option for such models takes it.
    why : str
        Where it was found, in words.
    """

    name: str
    why: str

    @staticmethod
    def in_cache(names: Sequence[str], of: str = "") -> AtHand:
        """The first of several models in the cache; `why` names the others. `of` is put before `why`."""
        others = f"; also there: {listed(names[1:])}" if names[1:] else ""
        return AtHand(names[0], f"{of}in the cache{others}")


def cached(owner: str, *files: str) -> dict[str, Path]:
    """The repositories of an owner whose snapshot in the cache has at least one of some files.

    Parameters
    ----------
    owner : str
        The owner, such as ``timm`` or ``sentence-transformers``.
    files : str
        Names of files; one of them has to be complete.

    Returns
    -------
    dict[str, Path]
        The newest such snapshot by the name of the repository without its owner, sorted; empty without a cache.
    """
    if find_spec("huggingface_hub") is None:
        return {}
    from huggingface_hub import constants

    start = f"models--{owner}--"
    there: dict[str, Path] = {}
    for folder in sorted(Path(constants.HF_HUB_CACHE).glob(f"{start}*")):
        snapshots = [each for each in folder.glob("snapshots/*") if any((each / f).is_file() for f in files)]
        if snapshots:
            there[folder.name.removeprefix(start)] = max(snapshots, key=lambda each: each.stat().st_mtime)
    return there
