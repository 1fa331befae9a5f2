"""Predicts whole files: JSON lines in, a file of one prediction per line for each of them out."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from . import predictor, settings
from .errors import BadRequest, HttpError, Problem, shown
from .formats import jsonl_rows
from .inference import checked_predictions
from .predictor import Model
from .reports import report

#: Rows that the model gets at once.
_ROWS = 500
#: Seconds between two lines that say how far it is.
_TELL = 10.0


def batch(source: Path, target: Path, environ: Mapping[str, str]) -> int:
    """Predict every row below ``source`` and return the exit code: 1 where the model refuses or fails, 3 without one.

    Args:
        source: a file of JSON lines, or a folder of those.
        target: a folder; ``NAME.out`` in it has the predictions for the file ``NAME``, complete or not at all.
        environ: the settings of a serving process (:mod:`cloudops.runtime.settings`) that name model and predictor.

    Raises:
        Problem: a setting is wrong, or there is nothing to predict.
    """
    given = settings.read(environ)
    files = _files(source)
    try:
        model = predictor.load(given.predictor, given.model_dir)
    except Problem:
        raise
    except BaseException as error:  # SystemExit from a predictor's import too
        traceback.print_exc(file=sys.stderr)
        report(f"the model could not be loaded: {shown(error)}")
        return 3
    try:
        for name, path in files:
            _file(model, name, path, target / f"{name}.out")
    except (BadRequest, HttpError) as error:
        report(str(error))
        return 1
    return 0


def _files(source: Path) -> list[tuple[str, Path]]:
    """The files with their names below ``source``."""
    if source.is_file():
        return [(source.name, source)]
    found = sorted(path for path in source.rglob("*") if path.is_file() and path.stat().st_size)
    if not found:
        raise Problem(f"{source} holds no rows to predict")
    return [(path.relative_to(source).as_posix(), path) for path in found]


def _file(model: Model, name: str, path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f".{target.name}.tmp")
    done, told = 0, time.monotonic()
    with path.open("rb") as rows, building.open("wb") as predictions:
        for first, lines in _chunks(rows):
            predictions.write(jsonl_rows.write(_predicted(model, name, first, lines)))
            done += len(lines)
            if time.monotonic() - told > _TELL:
                told = time.monotonic()
                print(f"[cloudops] {name}: {done} rows", flush=True)
    os.replace(building, target)
    print(f"[cloudops] {name}: {done} rows predicted", flush=True)


def _chunks(rows: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    """The lines that are not blank, some at a time, with the number of the first."""
    lines: list[bytes] = []
    first = 1
    for number, line in enumerate(rows, 1):
        if not line.strip():
            continue
        if not lines:
            first = number
        lines.append(line)
        if len(lines) == _ROWS:
            yield first, lines
            lines = []
    if lines:
        yield first, lines


def _predicted(model: Model, name: str, first: int, lines: list[bytes]) -> list[Any]:
    try:
        rows = [jsonl_rows.row(line, first + offset) for offset, line in enumerate(lines)]
        return checked_predictions(model, rows, {})
    except BadRequest as error:
        raise BadRequest(f"{name}, the {len(lines)} rows from line {first}: {error}") from error
