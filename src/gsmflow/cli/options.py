"""Options that commands share, in groups (see [`grouped`][gsmflow.cli.grouping.grouped])."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click

from gsmflow.base.errors import InputError
from gsmflow.cli.completion import complete_methods, complete_presets, complete_problems

if TYPE_CHECKING:
    from gsmflow.compute.distributed_map import Cluster
    from gsmflow.data.problem import Problem
    from gsmflow.images.backbone import BackboneSpec
    from gsmflow.runs.class_descriptions import Said
    from gsmflow.runs.pictures import Wanted


root_option = click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="Folder that paths in a CSV are relative to.  [default: the CSV's own]",
)
data_root_option = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=Path("data"),
    envvar="GSMFLOW_DATA",
    show_default=True,
    show_envvar=True,
    help="Folder that holds the named data sets.",
)
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
batch_size_option = click.option(
    "--batch-size", default=32, show_default=True, type=click.IntRange(1), help="Pictures per batch."
)
on_option = click.option(
    "--on", metavar="ray[:ADDRESS]", help="Spread the work over a Ray cluster.  [default: this machine]"
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead.")
seed_option = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**31 - 1),
    help="Determines every random draw.",
)


_problem = click.argument("problem", shell_complete=complete_problems)
_features = click.option(
    "--features",
    metavar="NAME",
    help="Feature file NAME.mat (or .npz, .csv) instead of the usual one.",
)
_semantics = click.option(
    "--semantics",
    metavar="NAME",
    help="Class semantics NAME_splits.mat (or NAME.csv) instead of the usual ones. Several are joined, such as "
    "classes,text.",
)


@dataclass(frozen=True)
class DataOptions:
    """The options that choose the problem."""

    problem: Annotated[str, _problem]
    features: Annotated[str | None, _features]
    semantics: Annotated[str | None, _semantics]
    data_root: Annotated[Path, data_root_option]

    def load(self) -> Problem:
        """The problem itself, read and checked.

        Raises
        ------
        InputError
            It is not there, or not right.
        """
        from gsmflow import sources

        return sources.load(
            self.problem, data_root=self.data_root, features=self.features, semantics=self.semantics
        )


_preset = click.option(
    "--preset",
    shell_complete=complete_presets,
    help="A preset's name or a .toml file.  [default: the problem's own, or 'best']",
)
_overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one option. Repeatable."
)


@dataclass(frozen=True)
class PresetOptions:
    """The options that choose a preset and change it."""

    preset: Annotated[str | None, _preset]
    overrides: Annotated[tuple[str, ...], _overrides]


method_option = click.option(
    "--method",
    shell_complete=complete_methods,
    default="gsmflow",
    show_default=True,
    help="One of `gsmflow methods`.",
)
method_or_recommended = click.option(
    "--method",
    shell_complete=complete_methods,
    help="One of `gsmflow methods`.  [default: auto for your own data, which tries several methods and stacks the "
    "best; gsmflow for named data sets and for other protocols than validated]",
)


_seeds = click.option(
    "--seeds",
    default="0-4",
    show_default=True,
    metavar="A-B",
    help="Seeds of the runs, such as 0-4 or 0,3,7.",
)
_protocol = click.option(
    "--protocol",
    type=click.Choice(["validated", "last"]),
    default="validated",
    show_default=True,
    help="validated: choose epochs and parameters on validation problems. last: train for the whole budget and choose "
    "nothing.",
)
_jobs = click.option(
    "--jobs", type=click.IntRange(1), help="Runs at the same time.  [default: as many as cores]"
)
_threads = click.option("--threads", type=click.IntRange(1), help="CPU threads of a run.  [default: 1]")


@dataclass(frozen=True)
class StudyOptions:
    """The options of a study: its seeds, its protocol, and where it computes."""

    seeds: Annotated[str, _seeds]
    protocol: Annotated[str, _protocol]
    jobs: Annotated[int | None, _jobs]
    on: Annotated[str | None, on_option]
    threads: Annotated[int | None, _threads]
    device: Annotated[str, device_option]


_worker_threads = click.option(
    "--threads",
    type=click.IntRange(1),
    help="CPU threads; on a cluster, of each worker.  [default: as many as cores; on a cluster 1]",
)


@dataclass(frozen=True)
class WorkerOptions:
    """The options that choose where a command computes: this machine or a cluster."""

    on: Annotated[str | None, on_option]
    threads: Annotated[int | None, _worker_threads]
    device: Annotated[str, device_option]

    def cluster(self) -> Cluster | None:
        """The cluster to work on; None for this machine, whose number of threads is then set.

        Raises
        ------
        InputError
            `on` is no place.
        """
        from gsmflow.compute.ray import parse_place

        address = parse_place(self.on)
        if address is not None:
            from gsmflow.compute.distributed_map import Cluster

            return Cluster(address, self.threads or 1)
        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)
        return None


_backbone = click.option(
    "--backbone",
    metavar="NAME|FILE",
    help="The model that turns pictures into features: one of timm, such as resnet101 or vit_small_patch14_dinov2; one "
    "of images and texts (CLIP, SigLIP), such as clip:openai/clip-vit-base-patch32 or clip:FOLDER; or an .onnx or "
    "TorchScript (.pt) file. A TorchScript file is a program: open only those you trust.  "
    "[default of train: a model file in the folder, one in the cache, else resnet101.tv_in1k, downloaded]",
)
_weights = click.option(
    "--weights",
    default="",
    metavar="FILE",
    help="Weights of a timm backbone (.safetensors), or 'random' for an untrained one.  [default: published weights]",
)
_size = click.option(
    "--size",
    type=int,
    help="Height and width in pixels of the pictures that a model file takes.  [default: 224]",
)
_crop = click.option(
    "--crop",
    type=float,
    help="Fraction of a picture's shorter side that is cut out at its centre.  [default: 0.875]",
)
_interpolation = click.option(
    "--interpolation",
    metavar="KIND",
    help="How pictures are resized: bilinear or bicubic.  [default: bicubic]",
)
_normalization = click.option(
    "--normalize",
    "normalization",
    metavar="KIND",
    help="Range of colour values that a model file expects. imagenet: mean 0 and variance 1 over ImageNet; clip: "
    "mean 0 and variance 1 over CLIP's pictures; half: -1 to 1; none: 0 to 1.  [default: imagenet]",
)
_output = click.option(
    "--output", default="", metavar="NAME", help="The output of an ONNX model to use.  [default: its first]"
)


@dataclass(frozen=True)
class BackboneOptions:
    """The options that choose a backbone and how pictures are prepared for it."""

    backbone: Annotated[str | None, _backbone]
    weights: Annotated[str, _weights]
    size: Annotated[int | None, _size]
    crop: Annotated[float | None, _crop]
    interpolation: Annotated[str | None, _interpolation]
    normalization: Annotated[str | None, _normalization]
    output: Annotated[str, _output]
    batch_size: Annotated[int, batch_size_option]

    def spec(self) -> BackboneSpec:
        """The backbone that the options describe.

        Raises
        ------
        InputError
            None is named, or one that cannot be.
        """
        from gsmflow.images.backbone import BackboneSpec

        if not self.backbone:
            raise InputError("extract: --backbone is missing: a model such as resnet101, or an .onnx file")
        return BackboneSpec.of(
            self.backbone, weights=self.weights, output=self.output, preprocessing=self._preprocessing()
        )

    def wanted(self, features: str | None) -> Wanted:
        """What the options say about the pictures in a folder; `features` is the name of the table."""
        from gsmflow.runs.pictures import Wanted

        return Wanted(self.backbone, self.weights, self.output, self._preprocessing(), features)

    def _preprocessing(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in ("size", "crop", "interpolation", "normalization")}
        return {name: value for name, value in given.items() if value is not None}


_classes = click.option(
    "--classes",
    metavar="NAMES|FILE",
    help="The classes, with pictures or without: names such as zebra,okapi, a .txt file with one name a line, or a CSV "
    "with a column `name` and, if you like, attributes or sentences.  [default: classes.csv or classes.txt in the "
    "folder, else the names of its class folders]",
)
template_option = click.option(
    "--template",
    multiple=True,
    metavar="TEXT",
    help="A sentence with {} in place of the class name, such as 'a drawing of a {}'. Repeatable; the vectors are "
    "averaged.  [default: seven sentences such as 'a photo of a {}.']",
)
_encoder = click.option(
    "--encoder",
    metavar="FOLDER|NAME",
    help="The text encoder that turns names and sentences into semantics: a model of sentence-transformers, or CLIP's "
    "text tower.  [default: one in the folder or in the cache, else all-MiniLM-L6-v2, downloaded]",
)


@dataclass(frozen=True)
class NamesOptions:
    """The options that describe the classes of a folder of pictures."""

    classes: Annotated[str | None, _classes]
    template: Annotated[tuple[str, ...], template_option]
    encoder: Annotated[str | None, _encoder]

    def said(self, semantics: str | None) -> Said:
        """What the options say about the classes; `semantics` names the tables."""
        from gsmflow.runs.class_descriptions import Said

        return Said(self.classes, self.template, self.encoder, semantics)


@dataclass(frozen=True)
class PictureOptions(BackboneOptions, NamesOptions):
    """The options for a folder of pictures: the backbone, and what describes the classes."""


_moved_backbone = click.option(
    "--backbone",
    metavar="FILE",
    help="The run's backbone, if it was moved: its .onnx or TorchScript file, or clip:FOLDER.",
)
_moved_weights = click.option(
    "--weights", metavar="FILE", help="The weights of the run's timm backbone, if they were moved."
)


@dataclass(frozen=True)
class MovedOptions:
    """The options that say where the files of a run's backbone were moved to."""

    backbone: Annotated[str | None, _moved_backbone]
    weights: Annotated[str | None, _moved_weights]


def parse_seeds(text: str) -> list[int]:
    """``0-4`` or ``0,3,7`` or a mixture.

    Raises
    ------
    InputError
        The text is neither.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise InputError(f"--seeds {text}: expected a range such as 0-4 or a list such as 0,3,7")
        seeds += range(int(match[1]), int(match[2] or match[1]) + 1)
    return list(dict.fromkeys(seeds))
