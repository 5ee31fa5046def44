"""Which images there are: folders of classes, any folder, or a CSV of paths.

Names are paths relative to a root folder, with forward slashes, in sorted order, so that the same images are
listed in the same way on every machine. Nothing outside the root is ever read.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.class_names import normal, part
from gsmflow.files.columns import read_table, texts
from gsmflow.files.missing import no_such, unreadable
from gsmflow.files.roles import of_listing
from gsmflow.images.folders import part_of, refuse_places, remark_on_depth

ENDINGS = (
    *(".bmp", ".gif", ".jpe", ".jpeg", ".jfif", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)
# Pictures in formats that are not read. Each is reported as unreadable, not skipped.
UNREAD = (
    *(
        ".heic",
        ".heif",
        ".avif",
        ".jxl",
        ".jp2",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".raf",
        ".orf",
        ".rw2",
    ),
)
_NO_CLASSES = {  # what file servers, archives and programs leave behind; in any case
    *("__macosx", "@eadir", "@tmp", "#recycle", "$recycle.bin", "system volume information", "lost+found"),
    *("__pycache__", "thumbnails", "thumbs"),
}
_NO_FILES = {"thumbs.db", "desktop.ini"}
_TABLES = {".csv", ".npz", ".npy", ".parquet", ".json"}  # of features and semantics, and files beside them
_MODELS = {".onnx", ".pt", ".ts", ".torchscript", ".safetensors"}


@dataclass(frozen=True)
class Listing:
    """Images to be read.

    Parameters
    ----------
    root : Path
        The folder that names are relative to.
    names : tuple[str, ...]
        (N,) with forward slashes.
    labels, split : tuple[str, ...] | None
        (N,) class and ``train``, ``val`` or ``test`` of each; None if not known.
    passed_over : tuple[str, ...]
        Files beside images that are not images by their ending, except tables and models directly in the root.
    empty : tuple[str, ...]
        Class folders without a file in them.
    remark : str
        What may have been meant differently; empty if nothing may.
    """

    root: Path
    names: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    passed_over: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    remark: str = ""

    def counts(self) -> dict[str, int]:
        """The number of images of each class, by name."""
        return dict(sorted(Counter(self.labels or ()).items()))


def is_image(path: Path) -> bool:
    """Whether a file is an image by its ending."""
    return path.suffix.lower() in ENDINGS


def list_labelled(path: Path, root: Path | None = None) -> Listing:
    """Images with their classes.

    Parameters
    ----------
    path : Path
        A folder with one folder a class, or with folders of parts that hold those (``train``, ``val``, ``test``,
        in any case, under any name that [`part`][gsmflow.files.class_names.part] knows); or a CSV with columns
        ``path``, ``label`` and optionally ``split``.
    root : Path | None
        The folder that a CSV's paths are relative to and must stay in; the CSV's own without it.

    Raises
    ------
    InputError
        There is nothing of that kind, an image belongs to no class, or a path leads out of the root.
    """
    if path.suffix.lower() == ".csv":
        listing = _from_csv(path, root)
        if listing.labels is None:
            raise InputError(f"{path}: no column 'label'; name the class of each image in one")
        return listing
    _refuse_root(root)
    names, passed_over = _walk(path)
    if not names:
        raise InputError(f"{path}: no images in it ({_expected()})")
    parts = [PurePosixPath(name).parts for name in names]
    split = _split(path, parts)
    if split:
        parts = [each[1:] for each in parts]
    for name, each in zip(names, parts, strict=True):
        if len(each) < 2:
            raise InputError(
                f"{path / name}: lies in no class folder; put it into the folder of its class, such as "
                f"{(path / name).with_name('zebra') / PurePosixPath(name).name}, or list images and classes in a CSV"
            )
    labels = tuple(normal(each[0]) for each in parts)
    refuse_places(path, labels, parts)
    places = [path / name for name in _folders(path)] if split else [path]
    bare = [name for place in places for name in _folders(place) if not _holds(place / name)]
    empty = set(map(normal, bare)) - set(labels)
    remark = remark_on_depth(labels, parts)
    return Listing(path, names, labels, split, _beside(names, passed_over), tuple(sorted(empty)), remark)


def holds_classes(path: Path) -> bool:
    """Whether a folder holds class folders of images, or parts with class folders; reads only as much as necessary.

    >>> holds_classes(Path("no such folder"))
    False
    """
    if not path.is_dir():
        return False
    try:
        tops = [path / name for name in _folders(path)]
        deeper = [top / name for top in tops if part_of(top.name) for name in _folders(top)]
        return any(is_image(file) for folder in (*tops, *deeper) for file in folder.iterdir())
    except OSError:
        return False


def _holds(folder: Path) -> bool:
    """Whether a folder holds any file, hidden ones and leftovers of programs aside."""
    files = (name for _, _, names in os.walk(folder) for name in names)
    return any(not name.startswith(".") and name.casefold() not in _NO_FILES for name in files)


def _beside(images: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """The other files in places for images: not tables or models at the top, and not files in folders without images,
    such as the folder of a text encoder or of runs."""
    tops = {PurePosixPath(name).parts[0] for name in images}

    def told(name: str) -> bool:
        file = PurePosixPath(name)
        return file.suffix.lower() not in _TABLES | _MODELS if len(file.parts) == 1 else file.parts[0] in tops

    return tuple(filter(told, others))


def _split(path: Path, parts: list[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The part of each image, if the top folders are parts of the data; None if they are classes.

    Raises
    ------
    InputError
        It could be either.
    """
    of_top = {each[0]: part_of(each[0]) for each in parts if len(each) > 1}
    deep = sorted({each[0] for each in parts if len(each) > 2 and of_top[each[0]]})
    bare = next(("/".join(each) for each in parts if len(each) == 2 and of_top[each[0]]), None)
    other = next((each[0] for each in parts if not of_top.get(each[0])), None)
    if other is None and bare:
        raise InputError(
            f"{path / bare}: lies in no class folder; in the folder of a part ({listed(sorted(of_top))}) put it into "
            "the folder of its class; `gsmflow predict` labels images whose class nobody knows"
        )
    if deep and other:  # a folder with images alone, called train, holds pictures of trains
        raise InputError(
            f"{path / deep[0]}: holds folders, as a part of the data does, but {other} beside it is no part; put "
            f"{other} elsewhere, or list images and classes in a CSV"
        )
    return tuple(str(of_top[each[0]]) for each in parts) if deep else None


def list_any(path: Path, root: Path | None = None) -> Listing:
    """Images to label: all images in a folder, one image, or a CSV with a column ``path``.

    Raises
    ------
    InputError
        There are none, or a path leads out of the root.
    """
    if path.suffix.lower() == ".csv":
        return _from_csv(path, root)
    _refuse_root(root)
    if is_image(path) and not path.is_dir():
        if not path.exists():
            raise InputError(f"{path}: {no_such(path)}")
        return Listing(path.parent, (path.name,))
    names, passed_over = _walk(path)
    if not names:
        raise InputError(f"{path}: no images in it ({_expected()})")
    return Listing(path, names, passed_over=passed_over)


def _refuse_root(root: Path | None) -> None:
    if root is not None:
        raise InputError(f"{root}: only a CSV's paths have a root; leave it out", parameter="root")


def _expected() -> str:
    return f"files ending in {', '.join(ENDINGS)}"


def _folders(folder: Path) -> list[str]:
    """Names of the folders directly in a folder, without hidden ones and those that are not classes."""
    return [each.name for each in folder.iterdir() if each.is_dir() and not _left_out(each.name)]


def _left_out(folder: str) -> bool:
    """Whether a folder is hidden, or one that a file server, an archive or a program leaves behind."""
    return folder.startswith(".") or folder.endswith(".npz.parts") or folder.casefold() in _NO_CLASSES


def _walk(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the images in a folder and all folders below, and of other files; hidden ones are left out."""

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename or folder, error, "folder")

    inside = folder.resolve()
    images: list[str] = []
    others: list[str] = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        here = Path(place)
        folders[:] = [name for name in folders if not _left_out(name)]
        for name in folders:
            if (here / name).is_symlink():
                raise InputError(
                    f"{here / name}: is a link to a folder, which is not followed; put the folder itself there, "
                    "or list the images in a CSV"
                )
        for name in files:
            file = here / name
            if name.startswith(".") or name.casefold() in _NO_FILES:
                continue
            if not _is_text(name):
                raise InputError(f"{here}: holds a file whose name is not UTF-8 ({name!a}); rename it")
            if file.is_symlink() and not file.resolve().is_relative_to(inside):
                raise InputError(
                    f"{file}: is a link that leads out of {folder}",
                    remedy="put the image itself there, or list the images in a CSV and name the folder they lie in "
                    "by `root`",
                )
            pictured = is_image(file) or (file.suffix.lower() in UNREAD and not _beside_itself(file, files))
            (images if pictured else others).append(file.relative_to(folder).as_posix())
    return tuple(sorted(images)), tuple(sorted(others))


def _beside_itself(file: Path, files: Sequence[str]) -> bool:
    """Whether a picture in an unreadable format has a readable copy beside it, because cameras write both."""
    return any(file.with_suffix(ending).name.casefold() in map(str.casefold, files) for ending in ENDINGS)


def _is_text(name: str) -> bool:
    """Whether the name of a file is text. The system allows any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _from_csv(path: Path, root: Path | None) -> Listing:
    table = read_table(path)
    columns = of_listing(table)
    if "path" not in columns:
        raise InputError(
            f"{path}: no column 'path' (found {listed(table.columns)}); list one image a row in columns path, "
            "label and, if wanted, split"
        )
    base = root or path.parent
    inside = base.resolve()
    names: list[str] = []
    row_of: dict[str, int] = {}
    for row, given in enumerate(texts(table, columns["path"])):
        where = f"{path}: {table.place(row)}"
        # Paths as Windows writes them; without this, a whole path would be one name.
        name = PurePosixPath(given.strip().replace("\\", "/"))
        full = Path(os.path.normpath(base / name))
        if not full.resolve().is_relative_to(inside):
            raise InputError(
                f"{where}: '{given}' leads out of {base}",
                remedy="name the folder that all images lie in by `root`",
            )
        if full.suffix.lower() in UNREAD:
            raise InputError(f"{where}: '{given}' is of a kind that is not read; save it as JPEG or PNG")
        if not is_image(full):
            raise InputError(f"{where}: '{given}' is no image by its ending; expected {_expected()}")
        known = os.path.relpath(full, base).replace(os.sep, "/")
        if row_of.setdefault(known, row) != row:
            raise InputError(f"{where}: '{given}' is already in {table.place(row_of[known])}; remove one")
        names.append(known)
    said = [texts(table, columns[role]) if role in columns else None for role in ("label", "split")]
    split = None
    if said[1] is not None:
        split = tuple(part(text) or "" for text in said[1])
        if "" in split:
            row = split.index("")
            raise InputError(
                f"{path}: {table.place(row)} has split '{said[1][row]}', expected train, val or test"
            )
    return Listing(base, tuple(names), said[0] and tuple(map(normal, said[0])), split)
