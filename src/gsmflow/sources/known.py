"""Data sets by name: where a person obtains them, and how to recognise their splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

XIAN = (
    "Xian, Lampert, Schiele, Akata: Zero-Shot Learning - A Comprehensive Evaluation of the Good, the Bad and "
    "the Ugly, TPAMI 2018; features and Proposed Splits (xlsa17) from the authors' page at MPI Informatics, "
    "'Zero-Shot Learning' project"
)


@dataclass(frozen=True)
class Known:
    """A published data set.

    images, classes: its whole size. citation: whom to credit and where a person obtains it.
    """

    name: str
    title: str
    images: int
    classes: int
    citation: str


KNOWN = {
    known.name: known
    for known in (
        Known("AWA1", "Animals with Attributes", 30475, 50, f"Lampert et al., TPAMI 2014; {XIAN}"),
        Known("AWA2", "Animals with Attributes 2", 37322, 50, XIAN),
        Known("APY", "aPascal-aYahoo", 15339, 32, f"Farhadi et al., CVPR 2009; {XIAN}"),
        Known("CUB", "Caltech-UCSD Birds 200-2011", 11788, 200, f"Wah et al., CNS-TR-2011-001; {XIAN}"),
        Known("SUN", "SUN Attribute", 14340, 717, f"Patterson and Hays, CVPR 2012; {XIAN}"),
        Known(
            "FLO",
            "Oxford Flowers 102",
            8189,
            102,
            "Nilsback and Zisserman, ICVGIP 2008; class embeddings by Reed et al., CVPR 2016; in the xlsa17 "
            "layout with the code of f-CLSWGAN (Xian et al., CVPR 2018)",
        ),
    )
}

# By split_fingerprint. Two versions of the Proposed Splits are in circulation and the files do not say which
# they are, nor do equal counts make equal splits: only the indices tell.
_SPLITS = {
    "a325a0c17bc0c3c5": "Proposed Splits, AWA1 (19832 / 4958 / 5685)",
    "bb114b71d5172231": "Proposed Splits, AWA2 (23527 / 5882 / 7913)",
    "ac99221211c96613": "Proposed Splits, APY (5932 / 1483 / 7924)",
    "ccbb8e2f8bb559a8": "Proposed Splits, CUB (7057 / 1764 / 2967)",
    "0f38673b54c9ec1e": "Proposed Splits, SUN (10320 / 2580 / 1440)",
    "f47eb3e1a45c4fac": "split of f-CLSWGAN's copy, FLO (5631 / 1403 / 1155)",
    "39d77da148d91e35": "FLO's split restricted to 5,543 images of 89 classes (3782 / 925 / 836)",
}


def split_fingerprint(
    train: NDArray[np.int64], test_seen: NDArray[np.int64], test_unseen: NDArray[np.int64]
) -> str:
    """First 16 hex digits of the SHA-256 of the three sorted index lists (0-based, int64)."""
    digest = hashlib.sha256()
    for part in (train, test_seen, test_unseen):
        digest.update(np.sort(part).astype("<i8").tobytes() + b"|")
    return digest.hexdigest()[:16]


def identify_split(fingerprint: str) -> str:
    """The name of a known split, or that it is none of them."""
    return _SPLITS.get(fingerprint, f"unknown split {fingerprint}")
