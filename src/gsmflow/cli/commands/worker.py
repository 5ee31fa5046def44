"""``gsmflow worker``: what bench, ablate and train start for each run that goes beside others; not for people."""

from __future__ import annotations

import json

import click


@click.command(hidden=True)
def worker() -> None:
    """Make the run whose description stands on standard input, and print its metrics as JSON."""
    from gsmflow.studies.worker import job_from_parent, make_run

    job = job_from_parent()
    click.echo(json.dumps(make_run(job), allow_nan=False))
