"""Whether a file is a TorchScript module or a pickled checkpoint, decided by its archive without loading torch."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from gsmflow.base.errors import InputError
from gsmflow.images.backbone import check_model_file


def refuse_pickle(path: Path) -> None:
    """Refuse a file that is not a TorchScript module, such as a checkpoint. Both are zip archives with pickles; only a
    TorchScript module also holds code.

    Raises
    ------
    InputError
        It is missing or not such a module.
    """
    check_model_file(path)
    parts: set[str] = set()
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                parts = {part for name in archive.namelist() for part in PurePosixPath(name).parts[1:2]}
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError):
        pass  # damaged: it holds no code that can be read
    if not {"code", "constants.pkl"} <= parts:
        raise InputError(
            f"{path}: not a TorchScript module; a pickled checkpoint is never loaded, save the model with "
            "torch.jit.script(model).save(...) or export it to ONNX"
        )
