"""Sentences for a person: in a terminal they are wrapped between words, elsewhere each stays one line."""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
from collections.abc import Sequence

import click


def say(text: str, *, indent: int = 0, err: bool = True) -> None:
    """Print a sentence on stderr, or on stdout. Where a terminal wraps it, the rest is indented."""
    width = _width(err)
    if not width:
        click.echo(text, err=err)
        return
    # Not by click, which writes past a line of progress that is being shown.
    print(wrapped(text, width, indent) if width < len(text) else text, file=sys.stderr if err else sys.stdout)


def _width(err: bool) -> int:
    """Columns of the terminal; 0 where there is none."""
    from rich.console import Console  # late, as a refusal may be all that is printed

    console = Console(stderr=err)
    return console.width if console.is_terminal else 0


def wrapped(text: str, width: int, indent: int = 0) -> str:
    """A text in lines of at most `width` columns, all but the first indented; what stands in backticks stays whole.

    >>> print(wrapped("Train with `--method lda`, or not.", 24, 2))
    Train with
      `--method lda`, or
      not.
    """
    whole = re.sub(r"`[^`]*`", lambda quoted: quoted[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(
        whole,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return "\n".join(lines).replace("\0", " ")


def say_command(words: Sequence[str]) -> None:
    """Print a command on stderr so that it can be copied. Long ones are continued after a backslash."""
    click.echo(laid_out(words, _width(err=True)), err=True)


def laid_out(words: Sequence[str], width: int) -> str:
    """A command of these words, indented, in lines of at most `width` columns; 0: in one line.

    >>> print(laid_out(["gsmflow", "train", "my pictures", "--method", "lda"], 34))
      gsmflow train 'my pictures' \\
          --method lda
    """
    lines, line = [], " "
    for word in map(shlex.quote, words):
        if width and len(line) + 1 + len(word) + 2 > width and line.strip():
            lines.append(f"{line} \\")
            line = " " * 5
        line += f" {word}"
    return "\n".join([*lines, line])
