"""What was typed wrong, in one line with the remedy: a word too many, one missing, a value of the wrong kind."""

from __future__ import annotations

import re
import shlex

import click

_EXPECTED = {
    "RUN": "the folder of a run, such as runs/digits-gsmflow-validated-seed0; `gsmflow runs` lists them",
    "RUNS": "the folders of one or more runs; `gsmflow runs` lists them",
    "NEW": "what to label: a folder of pictures, a picture, or a table of features",
    "PROBLEM": "a folder of pictures or of tables, or a name such as digits; `gsmflow data` lists them",
    "PROBLEMS": "folders of tables or names such as digits; `gsmflow data` lists them",
    "IMAGES": "a folder with one folder of pictures a class, or a CSV with columns path and label",
    "MODEL": "a model of images and texts, clip:OWNER/NAME or clip:FOLDER",
    "NAME": "a published data set, such as CUB",
    "CHECKPOINT": "a .tar file of the authors' program",
}
# What was meant by a word too many, where that can be guessed; {} stands for the word.
_MEANT = {
    "add-class": "gsmflow add-class RUN --name {}",
    "train": "gsmflow train PROBLEM --classes zebra,okapi",
    "describe": "gsmflow describe CLASSES --classes zebra,okapi",
    "zero-shot": "gsmflow zero-shot MODEL --classes zebra,okapi",
    "predict": "gsmflow predict RUN NEW -o labels.csv",
    "extract": "gsmflow extract IMAGES -o features.npz",
    "data": "gsmflow data PROBLEM, or gsmflow data get NAME",
    "export": "gsmflow export RUN -o classifier.onnx",
}


def explained(error: click.ClickException, command: click.Command | None) -> str:
    """The sentence for an error of click's.

    Parameters
    ----------
    error : click.ClickException
        What click found wrong.
    command : click.Command | None
        The command that was asked for, if it is known.
    """
    name = (command.name if command else "") or ""
    sentence = _sentence(error, name, command)
    whose = f"gsmflow {name}".strip()
    return f"{name}: {sentence} (see {whose} --help)" if name else f"{sentence} (see {whose} --help)"


def _sentence(error: click.ClickException, name: str, command: click.Command | None) -> str:
    said = error.format_message().rstrip(".")
    words = re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", said, re.DOTALL)
    if words:
        meant = _MEANT.get(name, "").format(shlex.quote(words[1])) or _usage(error, name, command)
        return f"'{words[1]}' is too much; write: {meant}"
    if isinstance(error, click.NoSuchOption):
        near = error.possibilities[:1] if error.possibilities else ()
        return f"there is no option {error.option_name}" + "".join(f"; did you mean {each}?" for each in near)
    if isinstance(error, click.BadOptionUsage):
        needs = "takes no value" if "does not take" in said else "needs a value"
        return f"{error.option_name} {needs}"
    if not isinstance(error, click.BadParameter) or error.param is None:
        return said
    if not isinstance(error, click.MissingParameter):
        value, wanted = re.match(r"'?(.*?)'? is not ", error.message, re.DOTALL), _wanted(error.param.type)
        return f"{error.param.opts[0]}: '{value[1]}' is not {wanted}" if value and wanted else said
    if isinstance(error.param, click.Option):
        meaning = re.split(r"\.\s", error.param.help or "")[0].rstrip(".")
        return f"{error.param.opts[0]} is missing: {meaning[:1].lower()}{meaning[1:]}"
    argument = (error.param.metavar or error.param.name or "").upper().strip("[].")
    told = f": {_EXPECTED[argument]}" if argument in _EXPECTED else ""
    return f"{argument} is missing{told}; write: {_usage(error, name, command)}"


def _usage(error: click.ClickException, name: str, command: click.Command | None) -> str:
    """The command with what it takes."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    pieces = command.collect_usage_pieces(context) if command and context else []
    return " ".join(["gsmflow", name, *pieces])


def _wanted(kind: click.ParamType) -> str:
    """What a value has to be, in words; empty for what is neither a number nor a choice.

    >>> _wanted(click.IntRange(1)), _wanted(click.FloatRange(0, 1)), _wanted(click.Choice(["H", "AUSUC"]))
    ('a whole number of 1 or more', 'a number from 0 to 1', 'one of H, AUSUC')
    """
    if isinstance(kind, click.Choice):
        return f"one of {', '.join(map(str, kind.choices))}"
    whole = isinstance(kind, click.types.IntParamType)
    if not whole and not isinstance(kind, click.types.FloatParamType):
        return ""
    number = "a whole number" if whole else "a number"
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if low is None:
        return number
    if high is not None:
        return f"{number} from {low} to {high}"
    return f"{number} above {low}" if getattr(kind, "min_open", False) else f"{number} of {low} or more"
