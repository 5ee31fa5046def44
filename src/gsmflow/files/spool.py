"""Tables of any length, written batch by batch and atomically: afterwards the whole table is there, or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from gsmflow.base.errors import InputError
from gsmflow.files.atomic import write_file
from gsmflow.files.guard import literal

if TYPE_CHECKING:
    import polars as pl

DIGITS = 6  # after the decimal point, in text
_ROWS = 1 << 16  # rows held in memory


class LongTable:
    """Rows in the order in which they were added. If there are many, they are stored in the temporary folder
    (``$TMPDIR``).

    Use it in a ``with`` statement, which removes the temporary files.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gsmflow-")
        self._waiting: list[pl.DataFrame] = []
        self._files: list[Path] = []
        self._held = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def add(self, table: pl.DataFrame) -> None:
        """Append rows, which must have the columns of the rows before.

        Raises
        ------
        InputError
            There is no room in the temporary folder.
        """
        self._waiting.append(table)
        self._held += len(table)
        self.rows += len(table)
        if self._held >= _ROWS:
            self._put_aside()

    def batches(self) -> Iterator[pl.DataFrame]:
        """All rows, batch by batch."""
        import polars as pl

        for file in self._files:
            yield pl.read_parquet(file, glob=False)
        yield from self._waiting

    def write(self, out: Path) -> None:
        """Write a .csv or .parquet file, atomically.

        Raises
        ------
        InputError
            The disk is full or the folder cannot be written to; `out` is unchanged.
        """
        import polars as pl

        if out.suffix == ".csv":
            write_file(out, self._write_csv)
            return
        if self._files:
            self._put_aside()
            everything = pl.scan_parquet(self._files, glob=False)
        else:
            everything = pl.concat(self._waiting).lazy()
        # By name, so that polars writes to the file that is open here, one group of rows after the other.
        try:
            write_file(out, lambda file: everything.sink_parquet(literal(Path(file.name))))
        except pl.exceptions.PolarsError as error:  # the rows are valid, so only the disk can fail
            raise InputError(
                f"{out}: cannot be written ({str(error)[-120:]})", remedy="free space or choose another `out`"
            ) from None

    def _write_csv(self, file: BinaryIO) -> None:
        for index, table in enumerate(self.batches()):
            table.write_csv(file, include_header=index == 0, float_precision=DIGITS)

    def _put_aside(self) -> None:
        import polars as pl

        if not self._waiting:
            return
        file = Path(self._folder.name) / f"{len(self._files):06}.parquet"
        try:
            pl.concat(self._waiting).write_parquet(file)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(
                f"{self._folder.name}: cannot be written ({str(error)[-120:]}); free space, or name another "
                "place by TMPDIR"
            ) from None
        self._files.append(file)
        self._waiting, self._held = [], 0
