"""The command line in processes of its own that start at once: real ones, to be killed, limited and listened to.

`python -m gsmflow` imports torch and scikit-learn anew each time, which takes longer than what most tests train.
These processes are forked from one that has imported them already (multiprocessing's fork server), and then do
what `gsmflow` does. Where it matters how a person starts it, tests start `python -m gsmflow` itself.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gsmflow.cli import main

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["gsmflow.cli", "gsmflow.runs.train", "scipy.stats", "sklearn.linear_model"])


def _main(
    arguments: list[str],
    cwd: str,
    said: tuple[str, str],
    given: Connection | None,
    file_size: int | None,
    more_memory: int | None,
) -> None:
    for stream, name in zip((sys.stdout, sys.stderr), said, strict=True):
        file = os.open(name, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, stream.fileno())
        os.close(file)
    if given is not None:
        os.dup2(given.fileno(), 0)
    os.chdir(cwd)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    if more_memory is not None:
        # What a first product sets up counts as the libraries' own
        torch.randn(100, 100) @ torch.randn(100, 100)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + more_memory, taken + more_memory))
    sys.exit(main(arguments))


class Command:
    """`gsmflow` with these arguments, started in the folder `cwd`.

    Parameters
    ----------
    given: a file descriptor that becomes its standard input.
    file_size: bytes beyond which no file can grow, as on a disk that is full.
    more_memory: bytes of address space that it may take beyond what the libraries hold once they are imported.

    Attributes
    ----------
    stdout, stderr: what it said, once :meth:`wait` has returned.
    """

    stdout: str
    stderr: str

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        file_size: int | None = None,
        more_memory: int | None = None,
        given: int | None = None,
    ) -> None:
        self._said = [tempfile.NamedTemporaryFile("r") for _ in range(2)]  # noqa: SIM115 - open until it ends
        names = [file.name for file in self._said]
        self._process = _context.Process(
            target=_main,
            args=(
                [*arguments],
                str(cwd),
                (names[0], names[1]),
                None if given is None else Connection(os.dup(given), writable=False),
                file_size,
                more_memory,
            ),
        )
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the number of the signal that ended it, or None while it runs."""
        return self._process.exitcode

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = 120) -> int:
        """Wait until it has ended, and return its exit code; it is killed when it takes too long."""
        self._process.join(timeout)
        late = self._process.is_alive()
        if late:
            self._process.kill()
            self._process.join()
        self.stdout, self.stderr = (file.read() for file in self._said)
        for file in self._said:
            file.close()
        assert not late, f"still running after {timeout} seconds"
        assert self._process.exitcode is not None
        return self._process.exitcode


def gsmflow(*arguments: str, cwd: Path, **limits: int) -> Command:
    """`gsmflow` with these arguments, run to its end."""
    command = Command(*arguments, cwd=cwd, **limits)
    command.wait()
    return command


class _Worker:
    """A worker of many runs that starts at once; it stands in for ``subprocess.Popen``."""

    def __init__(self, command: list[str], *, stdin: int, **_: object) -> None:
        assert command[:3] == [sys.executable, "-m", "gsmflow"]
        self._command = Command(*command[3:], cwd=Path.cwd(), given=stdin)

    def communicate(self) -> tuple[str, str]:
        self.returncode = self._command.wait()
        return self._command.stdout, self._command.stderr

    def send_signal(self, number: signal.Signals) -> None:
        self._command.send(number)


def with_quick_workers(words: list[str], folder: Path) -> tuple[int, str, str]:
    """The command in this process with workers that start at once: its code, its output and its messages."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        patch.setattr(
            "gsmflow.studies.local.subprocess", SimpleNamespace(Popen=_Worker, PIPE=subprocess.PIPE)
        )
        code = main(words)
    return code, out.getvalue(), err.getvalue()
