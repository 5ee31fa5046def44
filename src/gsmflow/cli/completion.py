"""``gsmflow --install-completion``: the shell completes commands, options and names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from gsmflow.base.errors import InputError
from gsmflow.files.atomic import make_folder, write_bytes

SHELLS = ("bash", "fish", "zsh")
_OWN = "auto"  # the shell that $SHELL names


def install_completion(group: click.Group, shell: str) -> str:
    """Write the completion script of a shell and have the shell read it. Returns a sentence on what was done.

    Parameters
    ----------
    group : click.Group
        The program's commands.
    shell : str
        One of SHELLS, or ``auto`` for the one that ``$SHELL`` names.

    Raises
    ------
    InputError
        It is another shell, or a file cannot be written.
    """
    name = Path(os.environ.get("SHELL", "")).name if shell == _OWN else shell
    completion = get_completion_class(name) if name in SHELLS else None
    if completion is None:
        raise InputError(f"shell '{name}': no completion for it; name one of {', '.join(SHELLS)}")
    script = completion(group, {}, "gsmflow", "_GSMFLOW_COMPLETE").source().encode()
    home = Path.home()
    if name == "fish":
        file = _folder("XDG_CONFIG_HOME", home / ".config") / "fish" / "completions" / "gsmflow.fish"
        changed = _write(file, script)
        return _said(name, file, None, changed)
    file = _folder("XDG_DATA_HOME", home / ".local" / "share") / "gsmflow" / f"completion.{name}"
    changed = _write(file, script)
    settings = home / f".{name}rc"
    line = f"[ -r '{file}' ] && . '{file}'  # completion of gsmflow"
    try:
        before = settings.read_text(encoding="utf-8") if settings.exists() else ""
        if line not in before.splitlines():
            with settings.open("a", encoding="utf-8") as end:
                end.write(("" if not before or before.endswith("\n") else "\n") + line + "\n")
            changed = True
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{settings}: cannot be changed ({error}); add this line yourself: {line}") from None
    return _said(name, file, settings, changed)


def complete_methods(ctx: click.Context, parameter: click.Parameter, start: str) -> list[CompletionItem]:
    """Names of methods."""
    from gsmflow.methods import method_names

    return _starting(method_names(), start)


def complete_presets(ctx: click.Context, parameter: click.Parameter, start: str) -> list[Any]:
    """Names of presets, or files."""
    from gsmflow.recipes.preset import preset_names

    return _starting(preset_names(), start) or [CompletionItem(start, type="file")]


def complete_problems(ctx: click.Context, parameter: click.Parameter, start: str) -> list[Any]:
    """Names of data sets, or folders."""
    from gsmflow.sources.published import KNOWN

    more = ["get"] if ctx.command.name == "data" else []
    return _starting(["digits", "synthetic", *KNOWN, *more], start) or [CompletionItem(start, type="dir")]


def complete_published(ctx: click.Context, parameter: click.Parameter, start: str) -> list[Any]:
    """Names of published data sets."""
    from gsmflow.sources.published import KNOWN

    return _starting(list(KNOWN), start)


def _starting(names: list[str], start: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.lower().startswith(start.lower())]


def _folder(variable: str, otherwise: Path) -> Path:
    given = os.environ.get(variable, "")
    return Path(given) if given.startswith("/") else otherwise


def _write(file: Path, script: bytes) -> bool:
    """Write a script unless the same is there already. Returns whether it was written."""
    if file.exists() and file.read_bytes() == script:
        return False
    make_folder(file.parent)
    write_bytes(file, script)
    return True


def _said(shell: str, file: Path, settings: Path | None, changed: bool) -> str:
    read = f", read by {settings}" if settings else ""
    if not changed:
        return f"completion for {shell} was installed before: {file}{read}"
    return f"completion for {shell} is in {file}{read}; open a new terminal to use it"
