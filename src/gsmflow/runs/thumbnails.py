"""Small pictures of test samples, stored with a run for its report and its page.

``thumbnails.safetensors`` holds the bytes of at most 480 small JPEG or PNG files. It is written if the samples are
pictures: features that are pixels, or image files that are still there.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.data.problem import Problem
from gsmflow.images.reading import UnreadableImage, read_image

if TYPE_CHECKING:
    import torch

    from gsmflow.heads.classifier import FittedClassifier

FILE = "thumbnails.safetensors"
KINDS = ("mistake", "surest", "least sure")

_MOST = 480  # most pictures that a run stores
_EACH = 4  # most pictures of a class and kind
_SIDE = 72  # pixels of the longer side
_BYTES = 8192  # of one picture; a larger one is left out
_READERS = 4  # pictures decoded at a time


@dataclass(frozen=True)
class Thumbnails:
    """Pictures of M test samples, with the classes that the classifier gave them.

    Parameters
    ----------
    pictures : list[bytes]
        M image files, b"" where one cannot be read.
    labels, given : NDArray[np.int64]
        (M,) the true class and the most probable class.
    probability : NDArray[np.float64]
        (M,) of the most probable class.
    kind : NDArray[np.int64]
        (M,) position in ``KINDS``: a mistake, one of the surest of its class, or one of the least sure.
    """

    pictures: list[bytes]
    labels: NDArray[np.int64]
    given: NDArray[np.int64]
    probability: NDArray[np.float64]
    kind: NDArray[np.int64]

    @staticmethod
    def of(problem: Problem, classifier: FittedClassifier) -> Thumbnails | None:
        """Of every class, test samples that are mistakes, the surest and the least sure; None if there are no pictures.

        If that would be more than 480 pictures, the classes with most mistakes come first.
        """
        test = np.concatenate((problem.test_seen, problem.test_unseen))
        if not len(test) or not has_pictures(problem, test):
            return None
        chances = classifier.probabilities(np.asarray(problem.features[test]))
        given, best = chances.argmax(axis=1), chances.max(axis=1)
        labels = problem.labels[test]
        chosen = _chosen(labels, given, best)
        if not chosen:
            return None
        rows, kind = (np.array(each, np.int64) for each in zip(*chosen, strict=True))
        pictures = small_pictures(problem, test[rows])
        return Thumbnails(pictures, labels[rows], given[rows], best[rows], kind)

    def write(self, path: Path) -> None:
        """Write them as a safetensors file: the bytes of all pictures in a row, and where each ends."""
        import torch

        from gsmflow.files.tensors import write_tensors

        write_tensors(
            path,
            packed(self.pictures)
            | {
                "labels": torch.from_numpy(self.labels),
                "given": torch.from_numpy(self.given),
                "probability": torch.from_numpy(self.probability),
                "kind": torch.from_numpy(self.kind),
            },
        )

    @staticmethod
    def read(path: Path) -> Thumbnails:
        """Inverse of [`write`][gsmflow.runs.thumbnails.Thumbnails.write].

        Raises
        ------
        InputError
            The file is damaged, or holds something else.
        """
        from gsmflow.files.tensors import read_tensors

        tensors, _ = read_tensors(path)
        try:
            pictures = unpacked(tensors)
            labels, given, chance, kind = (
                tensors[name].numpy() for name in ("labels", "given", "probability", "kind")
            )
        except KeyError as error:
            raise InputError(
                f"{path}: tensor {error} is missing; delete the file to do without pictures"
            ) from None
        if len(pictures) > _MOST or any(len(each) > _BYTES for each in pictures):
            raise InputError(
                f"{path}: more than {_MOST} pictures of {_BYTES} bytes, so no run wrote it; delete the file to do "
                "without pictures"
            )
        if not len(pictures) == len(labels) == len(given) == len(chance) == len(kind):
            raise InputError(
                f"{path}: {len(pictures)} pictures and {len(labels)} labels, expected as many; delete the file to do "
                "without pictures"
            )
        return Thumbnails(pictures, labels, given, chance, kind)


def has_pictures(problem: Problem, rows: NDArray[np.int64]) -> bool:
    """Whether these samples are pictures that can be read: pixels, or files of which the first is still there."""
    if find_spec("PIL") is None:
        return False
    if problem.image_shape is not None:
        return True
    return problem.pictures is not None and Path(problem.pictures[int(rows[0])]).is_file()


def _chosen(
    labels: NDArray[np.int64], given: NDArray[np.int64], best: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """(sample, kind) class by class, no sample twice."""
    classes = np.unique(labels)
    wrong = {int(c): float((given[labels == c] != c).mean()) for c in classes}
    if len(classes) * len(KINDS) > _MOST:
        classes = np.array(sorted(wrong, key=lambda c: -wrong[c])[: _MOST // len(KINDS)])
    each = int(np.clip(_MOST // (len(KINDS) * len(classes)), 1, _EACH))
    chosen: list[tuple[int, int]] = []
    for label in sorted(classes.tolist()):
        members = np.flatnonzero(labels == label)
        right = members[given[members] == label]
        falling = right[np.argsort(-best[right], kind="stable")]
        mistakes = members[given[members] != label]
        mistakes = mistakes[np.argsort(-best[mistakes], kind="stable")]  # those it was surest of
        surest = falling[:each]
        doubtful = falling[max(each, len(falling) - each) :][::-1]
        for kind, rows in enumerate((mistakes[:each], surest, doubtful)):
            chosen += [(int(row), kind) for row in rows]
    return chosen


def small_pictures(problem: Problem, rows: Sequence[int] | NDArray[np.int64]) -> list[bytes]:
    """Small image files of samples: PNG of features that are pixels, else JPEG of at most 72 x 72; b"" where one
    cannot be read.
    """
    if problem.image_shape is not None:
        low, high = (float(f(problem.features[problem.train])) for f in (np.min, np.max))
        scaled = np.clip((np.asarray(problem.features[rows]) - low) / ((high - low) or 1.0), 0, 1)
        return [_png(each.reshape(problem.image_shape)) for each in scaled]
    assert problem.pictures is not None
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(_jpeg, [Path(problem.pictures[int(row)]) for row in rows]))


def _png(pixels: NDArray[np.float32]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.round(255 * pixels).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _jpeg(path: Path) -> bytes:
    try:
        picture = read_image(path)
    except UnreadableImage:
        return b""
    picture.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    content = buffer.getvalue()
    return content if len(content) <= _BYTES else b""


def packed(files: Sequence[bytes]) -> dict[str, torch.Tensor]:
    """Files as two tensors: their bytes (uint8) in a row, and where each ends."""
    import torch

    ends = np.cumsum([len(each) for each in files], dtype=np.int64)
    content = np.frombuffer(b"".join(files), np.uint8).copy()
    return {"bytes": torch.from_numpy(content), "ends": torch.from_numpy(ends)}


def unpacked(tensors: dict[str, torch.Tensor]) -> list[bytes]:
    """Inverse of [`packed`][gsmflow.runs.thumbnails.packed].

    Raises
    ------
    KeyError
        A tensor is missing.
    """
    content, ends = tensors["bytes"].numpy().tobytes(), tensors["ends"].tolist()
    return [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def media_type(content: bytes) -> str:
    """The media type of a small picture."""
    return "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
