"""Backbones: from a prepared picture to a feature vector, and the description that a run stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gsmflow.base.errors import InputError
from gsmflow.base.registry import Registry
from gsmflow.files.checksums import digest_of
from gsmflow.files.missing import no_such
from gsmflow.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

RANDOM = "random"


@dataclass(frozen=True)
class BackboneSpec:
    """Everything needed to open a backbone again and to verify that it is the same.

    Parameters
    ----------
    kind : str
        ``timm``, ``clip``, ``onnx``, ``torchscript``, or one that was registered.
    model : str
        Timm's name of the architecture, the model's file, or the name of another kind's model.
    weights : str
        For timm alone: a ``.safetensors`` file, ``random`` (seed 0), or empty for the published weights.
    output : str
        For ONNX alone: name of the output that holds the features; empty for the first.
    preprocessing : Preprocessing | None
        How pictures are prepared; None for timm and clip, which bring their own.
    sha256 : str
        SHA-256 of the model's file, or of a timm model's weights; empty until it is opened.
    """

    kind: str
    model: str
    weights: str = ""
    output: str = ""
    preprocessing: Preprocessing | None = None
    sha256: str = ""

    @staticmethod
    def of(
        name: str, *, weights: str = "", output: str = "", preprocessing: Mapping[str, Any] | None = None
    ) -> BackboneSpec:
        """The description of a backbone from its name or file, its weights, and the settings that were given.

        Raises
        ------
        InputError
            The arguments contradict each other.
        """
        settings = dict(preprocessing or {})
        kind = _kind_of(name)
        if weights and "weights" not in kind.takes:
            raise InputError(f"{weights}: {name} has weights of its own; leave it out", parameter="weights")
        if (settings or output) and "preprocessing" not in kind.takes:
            raise InputError(
                f"{name}: a {kind.name} model, which brings its own preprocessing and output",
                parameter="backbone",
                remedy="leave out `size`, `crop`, `interpolation`, `normalization` and `output`",
            )
        if output and "output" not in kind.takes:
            raise InputError(
                f"{output}: a {kind.name} model has no named outputs to choose from; leave it out",
                parameter="output",
            )
        if weights and weights != RANDOM:
            if Path(weights).suffix != ".safetensors":
                raise InputError(
                    f"{weights}: expected a .safetensors file; pickled weights are never loaded",
                    parameter="weights",
                )
            weights = str(Path(weights).resolve())
        model = kind.place(name)
        if "preprocessing" in kind.takes and "size" not in settings and (side := kind.side(name)):
            settings["size"] = side
        prepared = Preprocessing(**settings) if "preprocessing" in kind.takes else None
        return BackboneSpec(kind.name, model, weights, output, prepared)

    @staticmethod
    def from_dict(values: Mapping[str, Any], origin: str) -> BackboneSpec:
        """Inverse of [`to_dict`][gsmflow.images.backbone.BackboneSpec.to_dict].

        Raises
        ------
        InputError
            These are not the values of a backbone.
        """
        try:
            given = dict(values)
            preprocessing = given.pop("preprocessing", None)
            spec = BackboneSpec(
                **given, preprocessing=Preprocessing(**preprocessing) if preprocessing else None
            )
            parts = (spec.kind, spec.model, spec.weights, spec.output, spec.sha256)
            if not all(isinstance(p, str) for p in parts):
                raise TypeError(f"kind {spec.kind!r}")
            BACKBONES.check_name(spec.kind)
        except (TypeError, InputError) as error:
            raise InputError(
                f"{origin}: not a backbone's description ({error}); extract the features anew"
            ) from None
        return spec

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without empty ones."""
        values = {"kind": self.kind, "model": self.model, "weights": self.weights, "output": self.output}
        values |= {"sha256": self.sha256}
        plain: dict[str, Any] = {name: value for name, value in values.items() if value}
        return plain | ({"preprocessing": self.preprocessing.to_dict()} if self.preprocessing else {})

    def moved(self, model: str | None, weights: str | None) -> BackboneSpec:
        """The same backbone with new places of its files; None: unchanged.

        Raises
        ------
        InputError
            A model of timm has no file, a model file has no weights beside it; or there is no such file.
        """
        kind = BACKBONES.find(self.kind)
        if model is not None and not kind.of_file and not (kind.of_folder and kind.owns(model)):
            raise InputError(
                f"{model}: the run's backbone is {self.kind}'s {self.model}; leave it out",
                parameter="backbone",
            )
        if weights is not None and "weights" not in kind.takes:
            raise InputError(
                f"{weights}: the run's backbone is {'the file ' * kind.of_file}{self.model}",
                parameter="weights",
                remedy="use `backbone`" if kind.of_file else "leave it out",
            )
        for parameter, given in (("backbone", model if kind.of_file else None), ("weights", weights)):
            if given is not None and not Path(given).is_file():
                raise InputError(f"{given}: {no_such(given)}", parameter=parameter)
        return replace(
            self,
            model=self.model if model is None else kind.place(model),
            weights=self.weights if weights is None else str(Path(weights).resolve()),
        )

    def check(self) -> None:
        """Refuse a backbone that cannot be opened, as far as that is known without loading it.

        Raises
        ------
        InputError
            A program is missing, or the model is not there, is damaged, or takes pictures of another size.
        """
        BACKBONES.find(self.kind).check(self)

    @property
    def note(self) -> str:
        """A warning, if this backbone is easily mistaken for another; else empty."""
        if self.kind == "timm" and "_clip_" in self.model:
            return (
                f"{self.model}: timm's tower of CLIP, without its projection, so no text is near its features; for "
                "classes by their names name the whole model as clip:OWNER/NAME"
            )
        return ""

    def same_as(self, other: BackboneSpec) -> bool:
        """Whether both give the same features, wherever their files are."""

        def essence(spec: BackboneSpec) -> BackboneSpec:
            kind = BACKBONES.find(spec.kind)
            return replace(spec, model="" if kind.of_file or kind.of_folder else spec.model, weights="")

        return essence(self) == essence(other)


@dataclass(frozen=True)
class Backbone:
    """An opened backbone.

    Parameters
    ----------
    spec : BackboneSpec
        What was opened, with its SHA-256.
    prepare : Callable[[Image], NDArray[np.float32]]
        Turns an RGB picture into float32 (3, H, W).
    features : Callable[[NDArray[np.float32]], NDArray[np.float32]]
        Turns prepared pictures (B, 3, H, W) into float32 features (B, D).
    """

    spec: BackboneSpec
    prepare: Callable[[Image], NDArray[np.float32]]
    features: Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class BackboneKind:
    """One kind of backbones.

    Parameters
    ----------
    name : str
        Its name: letters, digits and ``. _ -``; runs store it.
    owns : Callable[[str], bool]
        Whether a backbone that the user named, by a name or a file, is of this kind. Opens no file.
    open : Callable[[BackboneSpec, torch.device], Backbone]
        Loads a backbone of this kind. The `spec` of the result has a `sha256` that differs for different
        weights. Raises [`InputError`][gsmflow.base.errors.InputError] if it cannot be loaded.
    of_file : bool
        Whether the user names one file, which may be moved.
    takes : tuple[str, ...]
        Further settings that the user may give: ``weights`` (a .safetensors file), ``output`` (the name of one of
        several) and ``preprocessing`` (size, crop, interpolation and normalization).
    of_folder : bool
        Whether the user may name a folder, which may be moved; its `sha256` alone then identifies it.
    remembered : Callable[[str], str]
        The form of the name that a run stores, for kinds that are not one file.
    at_hand : Callable[[], Sequence[str]]
        Names of backbones of this kind that can be opened without a network, the best one first; used if the user
        names none. Loads no model.
    check : Callable[[BackboneSpec], None]
        Raises [`InputError`][gsmflow.base.errors.InputError] for a backbone that `open` would refuse, as far as that
        is known at once. Loads no model, and nothing else that takes long to load.
    side : Callable[[str], int | None]
        The side of the square pictures that the model in a file takes, which becomes the default of ``size``; None
        if it takes any size. Loads no model.
    """

    name: str
    owns: Callable[[str], bool]
    open: Callable[[BackboneSpec, torch.device], Backbone]
    of_file: bool = False
    takes: tuple[str, ...] = ()
    of_folder: bool = False
    remembered: Callable[[str], str] = lambda name: name

    def place(self, name: str) -> str:
        """The name that a run stores for a backbone: paths of files and folders in full."""
        return str(Path(name).resolve()) if self.of_file else self.remembered(name)

    at_hand: Callable[[], Sequence[str]] = lambda: ()
    check: Callable[[BackboneSpec], None] = lambda spec: None
    side: Callable[[str], int | None] = lambda name: None


def _complaint(name: str, value: Any) -> str:
    if not isinstance(value, BackboneKind):
        return f"is a {type(value).__name__}, expected a BackboneKind of gsmflow.images"
    return "" if value.name == name else f"is named '{value.name}', expected '{name}'"


BACKBONES: Registry[BackboneKind] = Registry(
    "kind of backbone",
    "gsmflow.backbones",
    {
        kind: f"gsmflow.images.backbone_kinds:{kind.upper()}"
        for kind in ("timm", "clip", "onnx", "torchscript")
    },
    _complaint,
)


def register_backbone(kind: BackboneKind) -> None:
    """Register a kind of backbones in this program.

    A package registers it by an entry point in the group ``gsmflow.backbones`` with the name of the kind.

    Raises
    ------
    InputError
        Another kind has that name, or the kind is not valid.
    """
    BACKBONES.register(kind.name, kind)


def _kind_of(name: str) -> BackboneKind:
    """The kind of a backbone, by its name or file; timm if no other kind claims it.

    Raises
    ------
    InputError
        The file holds weights alone, or pickled ones.
    """
    kinds = BACKBONES.those(lambda kind: kind.owns(name))
    suffix = Path(name).suffix.lower()
    if kinds:
        return kinds[0]
    if suffix == ".safetensors":
        raise InputError(
            f"{name}: holds weights without an architecture",
            parameter="backbone",
            remedy=f"name that one, such as `backbone` resnet101 `weights` {name}",
        )
    if suffix in (".pth", ".pkl", ".ckpt", ".tar", ".bin"):
        raise InputError(
            f"{name}: a pickled checkpoint, which is never loaded; convert it to .safetensors, "
            "or export the model to ONNX or TorchScript",
            parameter="backbone",
        )
    return BACKBONES.find("timm")


def digest_of_model(path: Path) -> str:
    """SHA-256 of a model's file.

    Raises
    ------
    InputError
        It is missing or cannot be read.
    """
    check_model_file(path)
    return digest_of(path)


def check_model_file(path: Path) -> None:
    """Refuse the file of a model if it does not exist.

    Raises
    ------
    InputError
        It does not exist.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file", remedy="name the model's file by `backbone`")


def pooled(output: NDArray[Any], origin: str) -> NDArray[np.float32]:
    """A model's output as features (B, D): a feature map (B, D, H, W) is averaged over H and W.

    Raises
    ------
    InputError
        The output has another shape.
    """
    if output.ndim == 4:
        output = output.mean(axis=(2, 3), dtype=np.float32)
    if output.ndim != 2 or output.shape[1] == 0 or output.dtype.kind != "f":
        raise InputError(
            f"{origin}: gives {output.dtype} of shape {output.shape}, expected features (images, dimensions) or a "
            "feature map (images, dimensions, height, width); export the model with such an output"
        )
    return output.astype(np.float32, copy=False)
