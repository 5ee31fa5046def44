"""Options that several commands take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gsmflow.base.errors import InputError

if TYPE_CHECKING:
    from gsmflow.compute.distributed_map import Cluster

data_root = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=Path("data"),
    envvar="GSMFLOW_DATA",
    show_default=True,
    show_envvar=True,
    help="Folder that holds the named data sets.",
)
device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
weights = click.option(
    "--weights",
    default="",
    metavar="FILE",
    help="Weights of a timm backbone, .safetensors; 'random' for untrained ones.  [default: the published ones]",
)
batch_size = click.option(
    "--batch-size", default=32, show_default=True, type=click.IntRange(1), help="Images at a time."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead.")
seeds = click.option("--seeds", default="0-4", show_default=True, metavar="A-B", help="Such as 0-4 or 0,3,7.")
protocol = click.option(
    "--protocol",
    type=click.Choice(["validated", "last"]),
    default="validated",
    show_default=True,
    help="validated: choose on a validation problem; last: the whole budget, no choice.",
)
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one option; repeatable."
)
jobs = click.option("--jobs", type=click.IntRange(1), help="Runs at a time.  [default: as many as cores]")
on = click.option(
    "--on", metavar="ray[:ADDRESS]", help="Spread the work over a Ray cluster.  [default: this machine]"
)
threads = click.option("--threads", type=click.IntRange(1), help="CPU threads of a run.  [default: 1]")
worker_threads = click.option(
    "--threads",
    type=click.IntRange(1),
    help="CPU threads, on a cluster those of each worker.  [default: as many as cores, on a cluster 1]",
)


def place(on: str | None, threads: int | None) -> Cluster | None:
    """Where ``--on`` and ``--threads`` say that parts are worked on: a cluster, or None for here.

    Raises
    ------
    InputError
        `on` is no place.
    """
    import torch

    from gsmflow.compute.distributed_map import Cluster
    from gsmflow.compute.ray import parse_place

    address = parse_place(on)
    if address is not None:
        return Cluster(address, threads or 1)
    if threads is not None:
        torch.set_num_threads(threads)
    return None


def parse_seeds(text: str) -> list[int]:
    """``0-4`` or ``0,3,7`` or a mixture.

    Raises
    ------
    InputError
        Neither.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise InputError(f"--seeds {text}: expected a range such as 0-4 or a list such as 0,3,7")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return list(dict.fromkeys(found))
