"""A real terminal of 80 columns: `gsmflow` runs in it, and what is on the screen in the end is returned."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

COLUMNS, ROWS = 80, 50
_CONTROL = re.compile(r"\x1b\[(\d*)(?:;\d+)*([A-Za-z])|\x1b\[\?\d+[hl]|(\r\n|\r|\n|\x08)")


def in_terminal(*arguments: str, cwd: Path) -> tuple[int, list[str]]:
    """Exit code of `gsmflow` with these arguments, and the lines of the screen after it, without trailing blanks."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    without = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    environment = {name: value for name, value in os.environ.items() if name not in without}
    environment |= {"TERM": "xterm-256color", "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "gsmflow", *arguments]
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    ) as process:
        os.close(inner)
        said = b""
        while some := _read(terminal):
            said += some
    os.close(terminal)
    return process.returncode, drawn(said.decode())


def _read(terminal: int) -> bytes:
    """What was written to a terminal meanwhile; nothing once nobody can write to it any more."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def drawn(said: str) -> list[str]:
    """The lines that a terminal shows of what was written to it: carriage returns, cursor up and erasing are obeyed.

    >>> drawn("old line\\r\\x1b[2Knew\\r\\nnext\\r\\n")
    ['new', 'next']
    """
    screen: list[list[str]] = [[]]
    row = column = 0

    def put(text: str) -> None:
        nonlocal row, column
        for character in text:
            if column == COLUMNS:
                row, column = row + 1, 0
            while len(screen) <= row:
                screen.append([])
            line = screen[row]
            line.extend(" " * (column + 1 - len(line)))
            line[column] = character
            column += 1

    place = 0
    for match in _CONTROL.finditer(said):
        put(said[place : match.start()])
        place = match.end()
        count, kind, plain = match[1], match[2], match[3]
        if plain in ("\n", "\r\n"):
            row, column = row + 1, 0 if plain == "\r\n" else column
            while len(screen) <= row:
                screen.append([])
        elif plain == "\r":
            column = 0
        elif plain == "\x08":
            column = max(0, column - 1)
        elif kind == "A":
            row = max(0, row - int(count or 1))
        elif kind == "K" and row < len(screen):
            del screen[row][0 if count == "2" else column :]
    put(said[place:])
    lines = ["".join(line).rstrip() for line in screen]
    while lines and not lines[-1]:
        lines.pop()
    return lines
