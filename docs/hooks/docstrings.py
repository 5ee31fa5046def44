"""What the reference needs beyond the docstrings; an extension of griffe, which reads the sources for mkdocstrings.

Fields of option dataclasses say what they mean in `option(...)`, and nowhere else: ``epochs: int = option(40,
"passes", low=1)`` becomes a parameter ``epochs`` with default ``40`` and the description "passes. At least 1.".
A method's ``METHOD`` gets its citation as description. The double colon before a block of code, which is not
Markdown, becomes a single one, and a first sentence of two lines becomes one line.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import griffe

OPTION = "gsmflow.base.options.option"
DECLARED = ("click.option", "click.argument")  # an option of a command, in an annotation of its group's field
BOUNDS = {"low": "at least {}", "above": "above {}", "high": "at most {}", "below": "below {}"}


def _read(value: Any) -> tuple[Any, str] | None:
    """(default, meaning) of a field made by `option(...)`."""
    if not isinstance(value, griffe.ExprCall) or value.function.canonical_path != OPTION:
        return None
    placed = [a for a in value.arguments if not isinstance(a, griffe.ExprKeyword)]
    named = {a.name: a.value for a in value.arguments if isinstance(a, griffe.ExprKeyword)}
    default = placed[0] if placed else named["default"]
    meaning = ast.literal_eval(str(placed[1] if len(placed) > 1 else named["help"]))
    allowed = [words.format(named[name]) for name, words in BOUNDS.items() if name in named]
    if "choices" in named and str(named["choices"]).startswith("("):
        allowed.append("one of " + ", ".join(f"`{c}`" for c in ast.literal_eval(str(named["choices"]))))
    text = meaning.rstrip(".") + "."
    if allowed:
        text += " " + (", ".join(allowed)).capitalize() + "."
    return default, text


def _declared(attribute: Any) -> tuple[Any, str] | None:
    """(type, meaning) of a field that is annotated with an option or argument of the command line."""
    annotation = attribute.annotation
    if not isinstance(annotation, griffe.ExprSubscript) or annotation.left.canonical_name != "Annotated":
        return None
    kind, declared = annotation.slice.elements
    try:
        call = declared.resolved.value if hasattr(declared, "resolved") else None
    except (griffe.NameResolutionError, KeyError):
        call = None
    if call is None:
        name = declared.canonical_path
        call = attribute.parent.package[name.removeprefix("gsmflow.")].value
    if not isinstance(call, griffe.ExprCall) or call.function.canonical_path not in DECLARED:
        return None
    named = {a.name: a.value for a in call.arguments if isinstance(a, griffe.ExprKeyword)}
    if "help" in named:
        return kind, ast.literal_eval(str(named["help"])).split("  [")[0].rstrip(".") + "."
    flags = [str(a).strip("'\"") for a in call.arguments if not isinstance(a, griffe.ExprKeyword)]
    return kind, f"The argument or option `{flags[0]}` of the command line."


class ReferenceText(griffe.Extension):
    """Completes docstrings once the whole package is loaded."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Read all classes once the whole package is loaded, so that fields of parents are known."""
        for member in _all(pkg):
            if member.name == "METHOD" and member.is_attribute and member.docstring is None:
                member.docstring = griffe.Docstring(f"{_citation(member.value)}.", parent=member)
                member.value, member.annotation = None, "Method"
            elif member.is_attribute and member.parent.is_module and member.annotation is None:
                member.annotation = _kind(member)
            if member.docstring is not None:
                member.docstring.value = _one_line_first(_without_double_colons(member.docstring.value))
        classes = [member for member in _all(pkg) if member.is_class]
        meanings: dict[str, dict[str, str]] = {}
        for cls in classes:
            fields = {}
            for attribute in cls.attributes.values():
                read = None if attribute.is_alias else _read(attribute.value)
                if read:
                    attribute.value, fields[attribute.name] = read
                declared = None if attribute.is_alias else _declared(attribute)
                if declared:
                    attribute.annotation, fields[attribute.name] = declared
            meanings[cls.path] = fields
        for cls in classes:
            try:
                line = [*reversed(cls.mro()), cls]
            except ValueError:
                line = [cls]
            fields, types = {}, {}
            for parent in line:
                fields |= meanings.get(parent.path, {})
                types |= {name: a.annotation for name, a in parent.attributes.items() if not a.is_alias}
            if not fields or cls.docstring is None or "Parameters\n---" in cls.docstring.value:
                continue
            text = "".join(f"{name} : {types[name]}\n    {meaning}\n" for name, meaning in fields.items())
            cls.docstring.value += f"\n\nParameters\n----------\n{text}"


def _all(owner: Any) -> Any:
    """The owner and everything defined in it, however deep."""
    yield owner
    for member in owner.members.values():
        if not member.is_alias:
            yield from _all(member)


def _kind(member: Any) -> str:
    """The type of a module's constant as far as its value shows it; names in camel case are aliases of types."""
    if not member.name.isupper():
        return "TypeAlias"
    try:
        return type(ast.literal_eval(str(member.value))).__name__
    except (ValueError, SyntaxError):
        return "constant"


def _citation(value: Any) -> str:
    named = {a.name: a.value for a in value.arguments if isinstance(a, griffe.ExprKeyword)}
    return ast.literal_eval(str(named["citation"])).rstrip(".")


def _one_line_first(text: str) -> str:
    """The text with its first paragraph on one line: tables of summaries show the first line alone."""
    first, blank, rest = text.partition("\n\n")
    return " ".join(first.split()) + blank + rest


def _without_double_colons(text: str) -> str:
    return re.sub(r"^::\n\n?", "", re.sub(r"(?<=[^\s:])::$", ":", text, flags=re.M), flags=re.M)
