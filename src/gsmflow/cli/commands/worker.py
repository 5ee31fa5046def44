"""``gsmflow worker``: what bench, ablate and train start for each run that goes beside others; not for people."""

from __future__ import annotations

import json

import click


@click.command(hidden=True)
def worker() -> None:
    """Make the run whose description stands on standard input, and print its metrics as JSON."""
    from gsmflow.learning.journal import Interrupted
    from gsmflow.studies.worker import job_from_parent, make_run

    job = job_from_parent()
    try:
        metrics = make_run(job)
    except Interrupted:  # what continues it is the command that started it
        raise click.Abort from None
    click.echo(json.dumps(metrics, allow_nan=False))
