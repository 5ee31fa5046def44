"""From images to features: list, read and prepare images, and run a backbone on them.

::

    listing.py        folders or a CSV -> which images, their classes, their split
    reading.py        one file -> an RGB picture, or the reason why not
    preprocessing.py  a picture -> the array a backbone takes
    backbone.py       which backbone, in words a run can remember; opening it again
    backbone_kinds.py  the kinds of backbones: timm.py, clip.py, onnx.py, torchscript.py
    at_hand.py        the backbone to use if the user names none
    extraction.py     all images -> a table of features, resumable

Importing this package is light: Pillow, timm, transformers and onnxruntime are imported when they are needed.
"""

from __future__ import annotations

from gsmflow.images.backbone import Backbone, BackboneKind, BackboneSpec, register_backbone
from gsmflow.images.preprocessing import Preprocessing

__all__ = ["Backbone", "BackboneKind", "BackboneSpec", "Preprocessing", "register_backbone"]
