"""From a folder of pictures to a problem: the features and semantics that have to be made before training.

A folder of pictures holds ``images/``, ``images.csv`` or class folders. The tables are written into it:
``features.npz``, and ``text.csv`` or ``attributes.csv`` if there is no ``classes.csv``. Tables that are there already
are not made again. [`plan`][gsmflow.runs.pictures.plan] writes nothing and loads no model, so that a
refusal comes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from os.path import isdir
from pathlib import Path
from typing import Any

from gsmflow import sources
from gsmflow.base.errors import InputError
from gsmflow.base.suggest import listed
from gsmflow.files.class_names import alike
from gsmflow.files.hub_cache import AtHand
from gsmflow.files.image_text import is_named
from gsmflow.files.missing import no_such
from gsmflow.files.rows import ENDINGS, read_rows
from gsmflow.images.at_hand import backbone_at_hand
from gsmflow.images.backbone import BACKBONES, BackboneSpec
from gsmflow.images.extraction import Pictures, extract_images
from gsmflow.images.feature_table import read_unreadable
from gsmflow.images.listing import Listing, holds_classes, is_image, list_labelled
from gsmflow.images.preprocessing import NORMALIZATIONS_IN_WORDS
from gsmflow.images.shards import Told
from gsmflow.runs.class_descriptions import Descriptions, Said, descriptions_for
from gsmflow.runs.steps import Step
from gsmflow.semantics.description_table import read_described
from gsmflow.sources.file_names import file_names
from gsmflow.sources.table import FEATURES, images_of

_FEWEST = 4  # seen classes from which a validation problem can be cut


@dataclass(frozen=True)
class Wanted:
    """The options that describe how pictures become features.

    Parameters
    ----------
    backbone : str | None
        A name or a model file; None: one that is found.
    weights, output : str
        See [`BackboneSpec`][gsmflow.images.backbone.BackboneSpec].
    preprocessing : Mapping[str, Any]
        The settings that were given.
    features : str | None
        The table of features, by its name without ending; None: ``features``.
    """

    backbone: str | None = None
    weights: str = ""
    output: str = ""
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    features: str | None = None

    @property
    def anything(self) -> bool:
        """Whether any option was given that only backbones need."""
        return bool(self.backbone or self.weights or self.output or self.preprocessing)


@dataclass(frozen=True)
class Extracting:
    """A table of features that has to be made.

    Parameters
    ----------
    images : Path
        The pictures.
    spec : BackboneSpec
        The backbone.
    out : Path
        The table.
    step : Step
        The command that makes the same table.
    told : str
        A message about it.
    """

    images: Path
    spec: BackboneSpec
    out: Path
    step: Step
    told: str

    def extract(
        self,
        *,
        batch_size: int = 32,
        device: str = "auto",
        listed: Callable[[Listing], None] = lambda listing: None,
        told: Told = lambda done, total: None,
    ) -> Pictures:
        """Make the table, or continue it; see [`extract_images`][gsmflow.images.extraction.extract_images].

        Raises
        ------
        InputError
            The backbone cannot be opened, or the table exists and was made from something else.
        """
        try:
            return extract_images(
                self.images,
                self.spec,
                self.out,
                batch_size=batch_size,
                device=device,
                listed=listed,
                told=told,
            )
        except InputError as error:
            if "choose another `out`" not in error.remedy:
                raise
            remedy = "delete it, or keep both: name a new one by `features`"
            raise InputError(error.message, remedy=remedy) from None


@dataclass(frozen=True)
class Plan:
    """The steps before a folder of pictures can be trained on.

    Parameters
    ----------
    folder : Path
        The problem's folder.
    images : Path
        The pictures in it.
    listing : Listing
        Which pictures there are.
    extracting : Extracting | None
        The features to make; None if they are there.
    descriptions : Descriptions
        What describes the classes.
    features : Path
        The table of features.
    changed : str
        How the pictures differ from those of the existing table, in words; empty if they do not.
    """

    folder: Path
    images: Path
    listing: Listing
    extracting: Extracting | None
    descriptions: Descriptions
    features: Path
    changed: str = ""

    @property
    def seen(self) -> tuple[str, ...]:
        """Classes with training pictures, sorted."""
        parts = self.listing.split or ("train",) * len(self.listing.names)
        return tuple(
            sorted({c for c, part in zip(self.listing.labels or (), parts, strict=True) if part != "test"})
        )

    @property
    def unseen(self) -> tuple[str, ...]:
        """Classes that are described and have no training pictures."""
        seen = set(map(alike, self.seen))
        return tuple(name for name in self.descriptions.names if alike(name) not in seen)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The commands that do the same, in their order."""
        parts = (self.extracting, self.descriptions.describing)
        return tuple(part.step for part in parts if part)

    def carry_out(
        self, device: str = "auto", extract: Callable[[Extracting], Pictures] | None = None
    ) -> Pictures | None:
        """Make the missing tables. Returns the pictures that became features; None if the features were there.

        Parameters
        ----------
        device : str
            A device as [`resolve_device`][gsmflow.compute.devices.resolve_device] names it.
        extract : Callable[[Extracting], Pictures] | None
            Extracts and shows progress; None: extracts silently.

        Raises
        ------
        InputError
            A model cannot be opened, or a table cannot be made.
        """
        from gsmflow.compute.devices import resolve_device

        if self.descriptions.describing:
            self.descriptions.describing.write(resolve_device(device))
        if self.extracting is None:
            return None
        return extract(self.extracting) if extract else self.extracting.extract(device=device)


def folder_of_pictures(problem: str, data_root: Path) -> Path | None:
    """The folder that a problem names, if it is a folder of pictures; otherwise None.

    Raises
    ------
    InputError
        It holds pictures and nothing else: nothing says their classes.
    """
    if not isdir(problem) or sources.is_named(problem, data_root):
        return None
    folder = Path(problem)
    if images_of(folder) or holds_classes(folder):
        return folder
    names = file_names(folder)
    loose = [name for name in names if is_image(Path(name))]
    if loose and not any(name.lower().endswith((*ENDINGS, ".mat")) for name in names):
        around = (folder if folder.name not in ("", "..") else folder.resolve()).parent
        one = f"; if it is the folder of one class, name the one around it: {around}" * holds_classes(around)
        raise InputError(
            f"{problem}: has pictures ({listed(loose[:3])}) and no class folders; put the pictures of each class into "
            f"a folder named after it{one}"
        )
    return None


def has_features(folder: Path, stem: str | None = None) -> bool:
    """Whether there is a table of features, called `stem` or ``features``, in a folder."""
    return any((folder / f"{stem or FEATURES}{ending}").exists() for ending in ENDINGS)


def plan(folder: Path, wanted: Wanted, said: Said, *, validated: bool = False) -> Plan | None:
    """The steps before a folder of pictures can be trained on; None if no option asks for any and all tables are there.

    Parameters
    ----------
    folder : Path
        A folder as [`folder_of_pictures`][gsmflow.runs.pictures.folder_of_pictures] finds.
    wanted : Wanted
        The options for pictures and their backbone.
    said : Said
        The options for classes.
    validated : bool
        Whether classes have to be held out for validation.

    Raises
    ------
    InputError
        There are no labelled pictures or too few classes, nothing makes features of them, or nothing describes them.
    """
    stem = wanted.features or FEATURES
    tables = [folder / f"{stem}{ending}" for ending in ENDINGS if (folder / f"{stem}{ending}").exists()]
    images = images_of(folder) or folder
    if tables and not wanted.anything and not said.anything and _described(folder, said.semantics):
        return None
    listing = list_labelled(images)
    pictured = tuple(sorted({*(listing.labels or ()), *listing.empty}))
    out, extracting = folder / f"{stem}.npz", None
    if wanted.anything or not tables:
        extracting = _extracting(folder, images, wanted, out)
        model = str(extracting.step.options["backbone"])
        if is_named(model):
            said = replace(said, of_backbone=model)
    described = descriptions_for(folder, images, pictured, said)
    changed = _changed(tables[0], listing) if tables and not extracting else ""
    whole_plan = Plan(folder, images, listing, extracting, described, tables[0] if tables else out, changed)
    if validated and len(whole_plan.seen) < _FEWEST:
        names = f" ({listed(whole_plan.seen)})" if whole_plan.seen else ""
        few = "1 class has" if len(whole_plan.seen) == 1 else f"{len(whole_plan.seen)} classes have"
        raise InputError(
            f"{images}: only {few} pictures to learn from{names}, too few to hold some out for validation",
            remedy="add classes, or use `protocol` last",
        )
    return whole_plan


def _described(folder: Path, semantics: str | None) -> bool:
    """Whether all tables of semantics that are asked for are there. Sentences in ``classes.csv`` do not count."""
    if semantics is not None:
        return all((folder / f"{part.strip()}.csv").exists() for part in semantics.split(","))
    file = folder / "classes.csv"
    try:
        return file.exists() and read_described(file).attributes is not None
    except InputError:  # reading the table reports what is wrong
        return True


def _extracting(folder: Path, images: Path, wanted: Wanted, out: Path) -> Extracting:
    places = (folder, images) if images.is_dir() else (folder,)
    backbone = AtHand(wanted.backbone, "as named") if wanted.backbone else backbone_at_hand(*places)
    spec = BackboneSpec.of(
        backbone.name, weights=wanted.weights, output=wanted.output, preprocessing=wanted.preprocessing
    )
    if BACKBONES.find(spec.kind).of_file and not Path(spec.model).is_file():
        raise InputError(f"{backbone.name}: {no_such(backbone.name)}", parameter="backbone")
    spec.check()
    given = {name: str(value) for name, value in wanted.preprocessing.items()}
    options = {
        "backbone": backbone.name,
        "weights": wanted.weights,
        "output": wanted.output,
        **given,
        "out": out,
    }
    told = f"{backbone.name} ({backbone.why})"
    if spec.preprocessing:
        size, scale = spec.preprocessing.size, spec.preprocessing.normalization
        told += f": {size} x {size} pixels, colours scaled as {scale} ({NORMALIZATIONS_IN_WORDS[scale]})"
    return Extracting(images, spec, out, Step("extract", str(images), options), told)


def _changed(table: Path, listing: Listing) -> str:
    """How the pictures differ from those that a table was made of."""
    rows = read_rows(table)
    if rows.names is None or rows.backbone is None:
        return ""
    known = {*rows.names, *(each.name for each in read_unreadable(table))}
    new = sorted(set(listing.names) - known)
    gone = sorted(set(rows.names) - set(listing.names))
    parts = [f"{len(new)} new ({listed(new[:3])})"] if new else []
    parts += [f"{len(gone)} gone ({listed(gone[:3])})"] if gone else []
    return " and ".join(parts)
