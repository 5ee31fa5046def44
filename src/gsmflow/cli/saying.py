"""Lines on stderr: in a terminal they are wrapped between words, elsewhere each stays one line."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Sequence

import click
from rich.console import Console


def say(text: str, *, indent: int = 0) -> None:
    """Print a line on stderr. Where a terminal wraps it, the rest is indented."""
    console = Console(stderr=True)
    if not console.is_terminal or len(text) <= console.width:
        click.echo(text, err=True)
        return
    click.echo(wrapped(text, console.width, indent), err=True)


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
    console = Console(stderr=True)
    click.echo(laid_out(words, console.width if console.is_terminal else 0), err=True)


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
