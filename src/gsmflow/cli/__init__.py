"""The command line: one file a command, argument parsing and printing only.

Exit codes: 0 done, 1 the run failed, 2 the request or the data is wrong, 3 done but images could not be read and
were left out, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from gsmflow.base.errors import InputError
from gsmflow.base.version import __version__
from gsmflow.cli.commands.ablate import ablate
from gsmflow.cli.commands.add_class import add_class
from gsmflow.cli.commands.bench import bench
from gsmflow.cli.commands.data import data
from gsmflow.cli.commands.data_get import data_get
from gsmflow.cli.commands.describe import describe
from gsmflow.cli.commands.evaluate import evaluate
from gsmflow.cli.commands.export import export
from gsmflow.cli.commands.extract import extract
from gsmflow.cli.commands.import_checkpoint import import_checkpoint
from gsmflow.cli.commands.methods import methods
from gsmflow.cli.commands.predict import predict
from gsmflow.cli.commands.report import report
from gsmflow.cli.commands.runs import runs
from gsmflow.cli.commands.serve import serve
from gsmflow.cli.commands.train import train
from gsmflow.cli.commands.tune import tune
from gsmflow.cli.commands.worker import worker
from gsmflow.cli.commands.zero_shot import zero_shot
from gsmflow.cli.group import Commands
from gsmflow.cli.grouping import flags_of

_SECTIONS = {
    "What there is": (data, data_get, methods),
    "Features and semantics": (extract, describe),
    "Train": (train, zero_shot, tune),
    "Use a run": (predict, evaluate, add_class, serve, export),
    "Look at runs": (runs, report),
    "Compare": (bench, ablate),
    "Bring in": (import_checkpoint,),
}


def _install(ctx: click.Context, parameter: click.Parameter, shell: str | None) -> None:
    if shell is None or ctx.resilient_parsing:
        return
    from gsmflow.cli.completion import install_completion

    assert isinstance(ctx.command, click.Group)
    click.echo(install_completion(ctx.command, shell))
    ctx.exit()


@click.group(
    cls=Commands,
    sections=_SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="gsmflow")
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
@click.option(
    "--install-completion",
    metavar="[SHELL]",
    is_flag=False,
    flag_value="auto",
    expose_value=False,
    is_eager=True,
    callback=_install,
    help="Have bash, zsh or fish complete commands, options and names.  [default: the shell in use]",
)
def cli(debug: bool) -> None:
    """Recognise classes you have no pictures of.

    Pictures of some classes, one folder a class, and the names of others: `gsmflow train pictures/ --classes
    zebra,okapi`. Features or measurements: `gsmflow train mydata/`, with features.csv and classes.csv in it. Without
    any data: `gsmflow train digits`.
    """


cli.add_command(worker)  # hidden


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; an error is one line on stderr.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``gsmflow``; those of the process where none are given. With ``--debug`` among them an
        error is raised instead of printed in one line.
    """
    # GNU OpenMP's threads spin while they wait for each other. On cores shared with another program that
    # makes every step of a small flow many times slower; a bound on it costs next to nothing elsewhere.
    # It is read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    return _run([a for a in arguments if a != "--debug"], debug)


def _run(arguments: list[str], debug: bool) -> int:
    try:
        return cli.main(arguments, prog_name="gsmflow", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        from gsmflow.cli.usage import explained

        return _fail(explained(error, _command(arguments)), 2)
    except click.Abort:
        return _fail("interrupted", 130)
    except InputError as error:
        if debug:
            raise
        return _fail(error.worded(flags_of(_command(arguments)).get), 2)
    except BrokenPipeError:
        # The reader of our output has ended, as `head` does. Keep Python from complaining about it at exit.
        sys.stderr.close()
        return 1
    except Exception as error:
        if debug:
            raise
        from gsmflow.cli.many_runs import CellsFailed
        from gsmflow.learning.journal import Interrupted  # imports torch, so only here

        if isinstance(error, Interrupted):
            return _fail("interrupted; the same command with --resume continues", 130)
        reason = " ".join(str(error).split()) or type(error).__name__
        said = ("DefaultCPUAllocator", "out of memory", "bad_alloc", "bad allocation")
        if isinstance(error, MemoryError) or any(words in reason for words in said):
            reason = (
                f"not enough memory ({reason[:160]}); free some, or lower head.synthetic_per_class, the batch "
                "size or the size of the model, then --resume"
            )
        if isinstance(error, CellsFailed):
            return _fail(reason, 1)
        return _fail(f"the run failed: {reason} (--debug shows where)", 1)


def _command(arguments: Sequence[str]) -> click.Command | None:
    """The command that was asked for."""
    return cli.commands.get(cli.named([word for word in arguments if not word.startswith("-")]))


def _fail(message: str, code: int) -> int:
    from gsmflow.cli.saying import say

    say(f"gsmflow: {' '.join(message.split())}", indent=2)
    return code
