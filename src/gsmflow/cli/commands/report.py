"""``gsmflow report``: a page to look at, and figures for papers."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import click

from gsmflow.cli import options
from gsmflow.cli.saying import say


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="HTML file to write.  [default: report.html in the first run's folder]",
)
@click.option(
    "--figures",
    type=click.Path(path_type=Path),
    help="Folder to write the charts into, as SVG and PNG, for papers.",
)
@click.option(
    "--embedding",
    default="pca,t-sne",
    show_default=True,
    help="How features are drawn in a plane: pca, t-sne or umap, separated by commas.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@options.data_root_option
@options.as_json
def report(
    runs: tuple[Path, ...],
    out: Path | None,
    figures: Path | None,
    embedding: str,
    opens: bool,
    data_root: Path,
    as_json: bool,
) -> None:
    """Show RUNS as one HTML page that needs no network: one run, or several side by side.

    If the data of a run are still there, they are read again for the curve and the confusions.
    """
    from gsmflow.files.atomic import check_writable, folder_for, write_bytes
    from gsmflow.report.embedding import parse_methods
    from gsmflow.runs.finished import check_finished
    from gsmflow.runs.whole import check_whole

    for run in runs:
        check_finished(run)
    methods = parse_methods(embedding)
    file = out or runs[0] / "report.html"
    check_writable(file.parent)
    if figures:
        check_writable(figures, "figures")
    for run in runs:
        check_whole(run)
    # Late: loading torch takes over a second that a refusal need not wait for.
    from gsmflow.report.figures import draw
    from gsmflow.report.page import render
    from gsmflow.report.record import read

    records = read(runs, data_root)
    page = render(records, methods)
    with folder_for(file):
        write_bytes(file, page.encode())
    if opens:
        webbrowser.open(file.resolve().as_uri())
    drawn = draw(records, figures, methods) if figures else []
    missing = [f"{record.label}: {text}" for record in records for text in record.missing]
    if as_json:
        click.echo(
            json.dumps({"report": str(file), "figures": [str(each) for each in drawn], "missing": missing})
        )
        return
    for text in missing:
        say(text, indent=2)
    say(
        f"report in {file} ({len(page) / 1024:.0f} KiB)" + (f", {len(drawn)} figures" if drawn else ""),
        err=False,
    )
