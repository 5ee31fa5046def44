"""The paper's four presets on its published features: ``python -m benchmarks.reproduce --data-root DATA``.

Every data set of the paper that lies under DATA, as ``res101.mat`` of the xlsa17 layout or in the authors' own folders,
is trained on with the preset of its name: one run a seed under the protocol ``validated``, and beside it the oracle,
which chooses on the test set as the published program did. The published H stands beside them, where it is given by
``--published AWA2=H``: the numbers are in the tables of arXiv 2107.03163, and are not repeated here from hearsay.

The presets take 2048-d features and a GPU. Runs that are finished in the folder of ``--out`` are not made again. What
is measured without ``--set`` is kept in ``results/reproduce.json``; until that file is there, nobody has run this.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, keep
from gsmflow.base.errors import InputError
from gsmflow.cli.options import parse_seeds
from gsmflow.compute.devices import cores
from gsmflow.sources.layouts import find
from gsmflow.studies.cells import Cell, Variant
from gsmflow.studies.worker import make_run

PRESETS = ("AWA2", "APY", "CUB", "FLO")
PAPER = "arXiv 2107.03163"
NEVER_RUN = (
    "Never run on the published features: none were at hand where this was written. Whoever has them is the first; "
    "python -m benchmarks.reproduce --data-root DATA keeps what it measures."
)


@dataclass(frozen=True)
class Reproduced:
    """A preset on its data set: H in percent, means over the seeds.

    Parameters
    ----------
    preset : str
        Its name, which is that of the data set.
    missing : str
        Why it was not run; empty where it was.
    dims : int
        Dimensions of the features; those of the paper have 2048.
    seeds : int
        Runs.
    validated, oracle : float | None
        H under ``validated``, and the best H on the test set.
    published : float | None
        H as the paper has it; None where it was not given.
    """

    preset: str
    missing: str = ""
    dims: int = 0
    seeds: int = 0
    validated: float | None = None
    oracle: float | None = None
    published: float | None = None


def reproduce(
    preset: str,
    data_root: Path,
    out: Path,
    seeds: Sequence[int],
    *,
    overrides: tuple[str, ...] = (),
    published: float | None = None,
    device: str = "auto",
) -> Reproduced:
    """Run a preset of the paper on the data set of its name, where that lies under `data_root`."""
    if find(data_root, preset) is None:
        return Reproduced(preset, f"no folder {data_root / preset}", published=published)
    runs: list[Mapping[str, Any]] = []
    dims = 0
    for seed in seeds:
        variant = Variant(f"gsmflow@{preset}", "gsmflow", preset, overrides)
        cell = Cell(preset, variant, seed, "validated", True, data_root, device=device)
        try:
            runs.append(cell.finished(out) or make_run(cell.job(out, cores())))
        except InputError as error:
            return Reproduced(preset, str(error), published=published)
        dims = dims_of(cell.folder(out))
    validated, oracle = ([run["H"] for run in runs], [run["oracle"]["H"] for run in runs])
    return Reproduced(preset, "", dims, len(runs), _percent(validated), _percent(oracle), published)


def dims_of(folder: Path) -> int:
    """Dimensions of the features that a run was made of."""
    from gsmflow.runs.folder import read_config

    return int(read_config(folder)["data"]["feature_dim"])


def table(rows: Sequence[Reproduced]) -> str:
    """All presets as a Markdown table."""
    lines = [
        "| preset | features | seeds | H, validated | H, oracle (chosen on the test set) | H, published |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        paper = f"{row.published:.1f}" if row.published is not None else f"see {PAPER}"
        if row.missing:
            lines.append(f"| {row.preset} | not run: {row.missing} | | | | {paper} |")
            continue
        features = f"{row.dims}-d" + ("" if row.dims == 2048 else ", not those of the paper")
        lines.append(
            f"| {row.preset} | {features} | {row.seeds} | {row.validated:.1f} | {row.oracle:.1f} | {paper} |"
        )
    return "\n".join(lines)


def standing(file: Path = RESULTS / "reproduce.json") -> str:
    """Whether it was ever run on published features, by the results that are kept."""
    if not file.exists():
        return NEVER_RUN
    results = json.loads(file.read_text())
    ran = [row["preset"] for row in results["rows"] if not row["missing"] and row["dims"] == 2048]
    if not ran:
        return NEVER_RUN
    return (
        f"Last run on published features on {results['machine']['date']}: {', '.join(ran)}; see {file.name}."
    )


def _percent(values: Sequence[float]) -> float:
    return 100 * statistics.fmean(values)


def _published(texts: Sequence[str]) -> dict[str, float]:
    """``AWA2=50.5`` and its like."""
    given: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            given[name] = float(value)
        except ValueError:
            raise SystemExit(f"--published {text}: expected NAME=H in percent, such as AWA2=50.5") from None
        if name not in PRESETS:
            raise SystemExit(f"--published {text}: expected one of {', '.join(PRESETS)}")
    return given


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce"))
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--published", action="append", default=[], metavar="NAME=H", help=f"as {PAPER} has it"
    )
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args(arguments)
    print(standing())
    published, rows = _published(given.published), []
    for preset in PRESETS:
        rows.append(
            reproduce(
                preset,
                given.data_root,
                given.out,
                parse_seeds(given.seeds),
                overrides=tuple(given.overrides),
                published=published.get(preset),
                device=given.device,
            )
        )
        last = rows[-1]
        print(f"{preset}: {last.missing or f'H {last.validated:.1f}, oracle {last.oracle:.1f}'}", flush=True)
    print(table(rows))
    if given.overrides:
        print(f"With {', '.join(given.overrides)} it is no reproduction, so nothing is kept.")
    elif any(not row.missing for row in rows):
        keep("reproduce", {"rows": [asdict(row) for row in rows]})


if __name__ == "__main__":
    main()
