"""Tables from files, and tables as rows that can be sent to an endpoint."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .values import json_safe

if TYPE_CHECKING:
    import polars as pl

Source = TypeVar("Source", Path, bytes)


def read_table(path: str | Path) -> pl.DataFrame:
    """The rows of a table.

    Args:
        path: a .parquet, .csv, .json (a list of objects) or .jsonl file; a folder of those; or a pattern such as
            ``data/2024-*.parquet``. Several files are put below one another, by column name.

    Raises:
        ValueError: nothing is there, the format is unknown, or a file cannot be read.
    """
    files = _files(Path(path))
    frames = [_read(file) for file in files]
    if len(frames) == 1:
        return frames[0]
    return _below_one_another(frames, Path(path))


def read_csv(content: bytes, name: str) -> pl.DataFrame:
    """The rows of a CSV file's content, read exactly as :func:`read_table` reads the file.

    Args:
        content: the bytes.
        name: what an error calls it.

    Raises:
        ValueError: it cannot be read.
    """
    return _reading(_csv, content, name, "csv")


def columns(path: str | Path) -> list[str]:
    """The columns of a table (of the first file where there are several), with as little reading as its format allows.

    Raises:
        ValueError: as :func:`read_table`, as far as the head of the file tells.
    """
    file = _files(Path(path))[0]
    return _read(file, head=True).columns


def batches(frame: pl.DataFrame, size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows in lists of at most ``size``, as values that JSON has.

    Not-a-number and infinities become None, dates and times ISO 8601 text, durations seconds, bytes hexadecimal text.

    Raises:
        ValueError: ``size`` is below one.
    """
    if size < 1:
        raise ValueError(f"a batch has at least one row, not {size}: pass size=1 or more")
    for part in frame.iter_slices(size):
        rows = part.to_dicts()
        for row in rows:
            for name, value in row.items():
                row[name] = json_safe(value)
        yield rows


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in _readers())
        if not found:
            raise ValueError(f"{path}: no table in this folder; it needs at least one {_formats()} file")
        return found
    if path.exists():
        return [path]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    if not found:
        raise ValueError(f"{path}: no such file, folder or pattern; check the path (relative to {Path.cwd()})")
    return [file for match in found for file in _files(match)]


def _readers(rows: int | None = None) -> dict[str, Callable[[Path], pl.DataFrame]]:
    """A reader for each format; of the formats that can be read in part, only the first ``rows``."""
    import polars as pl

    return {
        ".parquet": lambda path: pl.read_parquet(path, glob=False, n_rows=rows),
        ".csv": lambda path: _csv(path, rows),
        ".json": lambda path: pl.read_json(path, infer_schema_length=None),
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
    }


def _csv(source: Path | bytes, rows: int | None = None) -> pl.DataFrame:
    import polars as pl

    return pl.read_csv(source, infer_schema_length=None, try_parse_dates=True, glob=False, n_rows=rows)


def _json_lines(path: Path) -> pl.DataFrame:
    import polars as pl

    text = path.read_bytes()  # of a path, polars would take brackets for a pattern
    return pl.read_ndjson(text, infer_schema_length=None) if text.strip() else pl.DataFrame()


def _formats() -> str:
    *most, last = _readers()
    return f"{', '.join(most)} or {last}"


def _read(file: Path, *, head: bool = False) -> pl.DataFrame:
    reader = _readers(1 if head else None).get(file.suffix.lower())
    if reader is None:
        raise ValueError(f"{file}: cannot tell its format from {file.suffix or 'its name'!r}; use a {_formats()} file")
    return _reading(reader, file, str(file), file.suffix[1:])


def _reading(reader: Callable[[Source], pl.DataFrame], source: Source, name: str, kind: str) -> pl.DataFrame:
    """What ``reader`` makes of ``source``; nothing at all is a table without rows."""
    import polars as pl

    try:
        return reader(source)
    except pl.exceptions.NoDataError:
        return pl.DataFrame()
    except (pl.exceptions.PolarsError, OSError, ValueError, pl.exceptions.PanicException) as error:
        raise ValueError(f"{name}: cannot be read as {kind} ({_first_line(error)}); check or replace it") from error


def _below_one_another(frames: list[pl.DataFrame], path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path}: the files' columns do not fit together ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
