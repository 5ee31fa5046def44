"""What lies in the cache that Hugging Face's libraries share, read without a network and without loading a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gsmflow.base.suggest import listed


@dataclass(frozen=True)
class AtHand:
    """A model that was found where none was named.

    Parameters
    ----------
    name : str
        What the option that names such a model would be given.
    why : str
        Where it was found, in words.
    """

    name: str
    why: str

    @staticmethod
    def in_cache(names: Sequence[str], of: str = "") -> AtHand:
        """The first of the names of models in the cache; the others are told. `of` is put before the words."""
        others = f"; also there: {listed(names[1:])}" if names[1:] else ""
        return AtHand(names[0], f"{of}in the cache{others}")


def cached(owner: str, *files: str) -> dict[str, Path]:
    """The repositories of an owner of which a snapshot with certain files lies in the cache.

    Parameters
    ----------
    owner : str
        Such as ``timm`` or ``sentence-transformers``.
    files : str
        Names of files, one of which has to be there whole.

    Returns
    -------
    dict[str, Path]
        The newest such snapshot by the repository's name without its owner, sorted; empty where there is no cache.
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
