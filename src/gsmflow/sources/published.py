"""The published data sets: their sizes, their splits, and where to obtain them.

Splits are recognised by a fingerprint of the sample numbers in their parts. Versions 1.0 and 2.0 of the
Proposed Splits (Xian et al.) are in circulation. In every file that we could examine (AWA1 of 2018 and 2019;
AWA2 of 2017, 2018, 2019 and 2021; SUN of 2018 and 2019; APY of 2019 and 2021; CUB of 2019 and 2020)
trainval, test_seen and test_unseen are the same, number for number. So neither they nor counts distinguish the
versions, and results on these files are comparable. What differs is ``train_loc`` and ``val_loc``:

* files of 2017 and 2018: they cover trainval **and** test_seen, so choosing hyperparameters on them, as
  they are, looks at test images (AWA2: 5,882 of them);
* xlsa17.zip as of 19 September 2019 has neither;
* other files since: the same two lists without the test_seen images, so they cover trainval exactly.

The classes in either list are the same in all files, and only these are used here. We found no statement of which
files are "version 2.0" (announced on arXiv in September 2020), so nothing is claimed about it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PAGE = (
    "https://www.mpi-inf.mpg.de/departments/computer-vision-and-machine-learning/research/"
    "zero-shot-learning/zero-shot-learning-the-good-the-bad-and-the-ugly"
)
_XIAN = f"features and Proposed Splits: Xian et al., TPAMI 2018, xlsa17.zip at {_PAGE}"
_XIAN_FLO = (
    "class embeddings: Reed et al., CVPR 2016; features and split: Xian et al., CVPR 2018, cvpr18xian.zip at "
    "http://datasets.d2.mpi-inf.mpg.de/xian/"
)
_PRESPLIT = "pre-split (data.mat, label.mat): linked from https://github.com/uqzhichen/SDGZSL"


@dataclass(frozen=True)
class Known:
    """One published data set with its Proposed Split.

    Parameters
    ----------
    name : str
        Short name, as on the command line.
    title : str
        Full name.
    train : int
        Training images.
    test_seen : int
        Test images of seen classes.
    test_unseen : int
        Test images of unseen classes.
    seen : int
        Seen classes.
    unseen : int
        Unseen classes.
    semantic_dim : int
        A, dimensions of the usual semantics.
    split : str
        Fingerprint of the split.
    citation : str
        The paper to cite, and where the files are obtained.
    """

    name: str
    title: str
    train: int
    test_seen: int
    test_unseen: int
    seen: int
    unseen: int
    semantic_dim: int
    split: str
    citation: str


# fmt: off
KNOWN = {
    known.name: known
    for known in (
        Known("AWA1", "Animals with Attributes", 19832, 4958, 5685, 40, 10, 85, "a325a0c17bc0c3c5",
              f"Lampert et al., TPAMI 2014; {_XIAN}"),
        Known("AWA2", "Animals with Attributes 2", 23527, 5882, 7913, 40, 10, 85, "bb114b71d5172231", _XIAN),
        Known("APY", "aPascal and aYahoo", 5932, 1483, 7924, 20, 12, 64, "ac99221211c96613",
              f"Farhadi et al., CVPR 2009; {_XIAN}"),
        Known("CUB", "Caltech-UCSD Birds 200-2011", 7057, 1764, 2967, 150, 50, 312, "ccbb8e2f8bb559a8",
              f"Wah et al., CNS-TR-2011-001; {_XIAN}; {_PRESPLIT}"),
        Known("SUN", "SUN Attributes", 10320, 2580, 1440, 645, 72, 102, "0f38673b54c9ec1e",
              f"Patterson and Hays, CVPR 2012; {_XIAN}"),
        Known("FLO", "Oxford 102 Flowers", 5631, 1403, 1155, 82, 20, 1024, "f47eb3e1a45c4fac",
              f"Nilsback and Zisserman, ICVGIP 2008; {_XIAN_FLO}; {_PRESPLIT}"),
    )
}
# fmt: on

_SPLITS = {known.split: f"Proposed Splits, {known.name}" for known in KNOWN.values()} | {
    "39d77da148d91e35": "Proposed Splits, FLO, restricted to 5,543 of its 8,189 images",
}

_SEMANTICS = {
    "114a0fe832aaa9d6": "the 85 attributes of AWA, continuous, unit length",
    "a5ac970aaf2ec807": "the 85 attributes of AWA, binary",
    "252c6e48242a23e3": "the 64 attributes of aPY, unit length",
    "b9abd73380d0d69a": "the 312 attributes of CUB, unit length",
    "ca88cf0c09b50f9e": "1024-d sentence embeddings of CUB, as distributed with CE-GZSL (CVPR 2021)",
    "a2b13a6222b44356": "the 102 attributes of SUN, unit length",
    "f6f51e2de84b40d9": "1024-d text embeddings of FLO, unit length",
}


def split_fingerprint(*parts: NDArray[np.int64]) -> str:
    """16 hex digits that depend on which samples, counted from 0, are in which part, and on nothing else."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.sort(part).astype("<i8").tobytes() + b"|")
    return digest.hexdigest()[:16]


def semantics_fingerprint(semantics: NDArray[np.float32]) -> str:
    """16 hex digits of the values of a (C, A) matrix, in the order of its classes."""
    return hashlib.sha256(np.ascontiguousarray(semantics, dtype="<f4").tobytes()).hexdigest()[:16]


def split_name(train: NDArray[np.int64], test_seen: NDArray[np.int64], test_unseen: NDArray[np.int64]) -> str:
    """The name of the published split with these parts, or a text that says it is not a published one."""
    return _SPLITS.get(split_fingerprint(train, test_seen, test_unseen), "unknown split")


def semantics_name(semantics: NDArray[np.float32]) -> str:
    """The name of the published class embedding equal to this (C, A) matrix, or its size."""
    known = _SEMANTICS.get(semantics_fingerprint(semantics))
    return known or f"unknown embedding of {semantics.shape[1]} dimensions"


def same_counts(train: int, test_seen: int, test_unseen: int) -> str | None:
    """The published data set with the same number of images in each part, or None."""
    for known in KNOWN.values():
        if (known.train, known.test_seen, known.test_unseen) == (train, test_seen, test_unseen):
            return known.name
    return None
