"""Requests and answers as types, from which the OpenAPI description is made."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[float, Field(allow_inf_nan=False)]
MOST_SAMPLES = 4096
MOST_SHOWN = 1000
MOST_TEXT = 2000


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Samples(_Asked):
    """Samples to be labelled."""

    features: list[list[Number] | dict[str, Number]] = Field(
        min_length=1,
        max_length=MOST_SAMPLES,
        description="A sample is a list of D numbers in the order of training, or all of them by name.",
    )
    top: int = Field(3, ge=1, le=MOST_SHOWN, description="Classes listed for each sample.")
    explain: int = Field(
        0, ge=0, le=MOST_SHOWN, description="How many of the attributes that decided to list for each sample."
    )


class NewClass(_Asked):
    """A class that has no samples: by its attributes, as another class with differences, or by a text."""

    name: str = Field(min_length=1, max_length=200)
    semantics: list[Number] | dict[str, Number] | None = Field(
        None,
        description="All values in the order of the dimensions, or all of them by name; with `like`, only those that "
        "differ, by name. Where attributes and texts are joined, those of the attributes, in their own units.",
    )
    like: str | None = Field(
        None, max_length=200, description="A class whose values hold wherever `semantics` says nothing."
    )
    text: str | None = Field(
        None,
        min_length=1,
        max_length=MOST_TEXT,
        description="A sentence that describes it, where the run has a text encoder: instead of `semantics`, or beside "
        "them where attributes and texts are joined. Where texts alone describe the classes, the name alone will do.",
    )


class RankedClass(BaseModel):
    """A class and how probable it is."""

    index: int
    name: str
    seen: bool = Field(description="Whether the classifier was trained on real samples of it.")
    probability: float = Field(ge=0, le=1)


class Reason(BaseModel):
    """An attribute that decided, and how much it speaks for each class listed."""

    name: str
    weight: float = Field(
        description="What one standard deviation more of it adds to a class's logit, for this sample."
    )
    contributions: list[float] = Field(
        description="Weight times value for each class listed, in their order; below 0 it speaks against the class."
    )


class Prediction(BaseModel):
    """The most probable classes of a sample, the most probable first, and why."""

    classes: list[RankedClass]
    reasons: list[Reason] = Field([], description="The attributes that decided, the most telling first.")
    explained: float | None = Field(
        None, ge=0, le=1, description="Share of the differences between logits that attributes account for."
    )
    note: str | None = Field(
        None, description="Why no attributes are listed: texts alone describe the classes of this run."
    )


class Predictions(BaseModel):
    """One prediction a sample, in the order asked."""

    run: str = Field(description="The version that answered.")
    predictions: list[Prediction]


class Class(BaseModel):
    """A class."""

    index: int
    name: str
    seen: bool
    added: bool = Field(description="Whether it was added to the run after training.")


class Classes(BaseModel):
    """All classes in the order of their indices."""

    run: str
    classes: list[Class]


class Attribute(BaseModel):
    """One dimension of a class's semantics."""

    name: str
    value: float
    low: float = Field(description="Least value over all classes.")
    high: float = Field(description="Largest value over all classes.")
    standing: float = Field(description="How many standard deviations above the mean of all classes.")


class ClassDetail(Class):
    """A class and what describes it."""

    attributes: list[Attribute]


class Sample(BaseModel):
    """A test sample kept with the run."""

    index: int
    label: int = Field(description="Index of its true class.")
    name: str
    seen: bool
    pixels: list[int] | None = Field(description="0 to 255, row by row, where features are pixels.")
    picture: str | None = Field(description="A small picture as a data URI, where the run keeps them.")


class KeptSamples(BaseModel):
    """The test samples kept with the run."""

    image_shape: tuple[int, int] | None = Field(description="Height and width, where features are pixels.")
    examples: list[Sample]


class SampleDetail(BaseModel):
    """A test sample with its features."""

    index: int
    label: int
    features: list[float]


class Scores(BaseModel):
    """Accuracies on the test set, as fractions; null where there are no test samples."""

    U: float | None
    S: float | None
    H: float | None


class Run(BaseModel):
    """What is served."""

    run: str
    problem: str
    method: str
    setting: str = Field(description="What its training knew of unseen classes; usually inductive.")
    protocol: str
    feature_dim: int
    feature_names: list[str] = Field(description="Names of the features in their order; empty without names.")
    dimensions: list[str] = Field(description="Names of the semantic dimensions, in their order.")
    seen: int
    unseen: int
    takes_images: bool
    no_images: str = Field(description="Why it takes no images, where it does not.")
    adds_classes: bool
    takes_text: bool = Field(description="Whether a new class can be described by a text.")
    has_attributes: bool = Field(
        description="Whether people can read the values that describe the classes; those of a text they cannot."
    )
    scores: Scores
    warnings: list[str] = Field(description="What looked wrong about its data or its result.")


class Added(BaseModel):
    """A new version of the run, which answers from now on."""

    run: str
    index: int
    name: str
    before: Scores = Field(description="Of the old classes, before.")
    after: Scores = Field(description="Of the old classes, after.")
    seconds: float
    notes: list[str]


class Health(BaseModel):
    """Whether the service is up."""

    status: str
    run: str
    classes: int
    adding: bool


class Error(BaseModel):
    """Why a request was not answered, in one line."""

    detail: str
