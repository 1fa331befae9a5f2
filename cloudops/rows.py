"""Rows for an endpoint: read from a file, an argument or standard input, and sent in batches."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    from .handles import Endpoint

#: Rows in one request: large enough to be fast, small enough for every cloud's payload limit (1.5 MB on Vertex AI).
BATCH = 500


def read_rows(data: str | None, given: Sequence[str], format_: str, stdin: IO[bytes]) -> Iterator[list[Any]]:
    """Batches of rows.

    Args:
        data: a file, or ``-`` for ``stdin``.
        given: rows as JSON texts, instead of ``data``.
        format_: ``json``, ``jsonl`` or ``csv``; what ``stdin`` holds.
        stdin: read for ``-``.

    Raises:
        ConfigError: the rows cannot be read; names the file and what was expected.
    """
    if data is None:
        return iter([[_json(text, "--row") for text in given]])
    if data != "-":
        return _of_file(Path(data))
    content = stdin.read()
    if format_ == "csv":
        return _of_csv(content)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError("standard input: not UTF-8 text") from error
    if format_ == "jsonl":
        return _batched(_json(line, "standard input") for line in text.splitlines() if line.strip())
    return _batched(_rows_of(_json(text, "standard input")))


def predict_all(endpoint: Endpoint, batches: Iterable[list[Any]], *, version: str | None = None) -> list[Any]:
    """One prediction for each row of all batches, in order. Raises ConfigError where there is no row."""
    full = (batch for batch in batches if batch)
    found = [prediction for batch in full for prediction in endpoint.predict(batch, version=version)]
    if not found:
        raise ConfigError("there is no row to send", hint="look at what the file, or standard input, holds")
    return found


def json_lines(source: str, root: Path, label: str | None, store: Path) -> Path:
    """A table as a file of JSON lines, one row in each, made once for each version of the table.

    Args:
        source: a path (relative to ``root``), a pattern, or a URI, which is fetched.
        root: where relative paths start.
        label: a column to leave out.
        store: where what was fetched and made is kept.

    Raises:
        ConfigError: it cannot be read as a table, has no row, or no column of the label's name.
    """
    from .digests import digest
    from .store.fetch import fetch, version
    from .store.uris import redact

    path = fetch(source if "://" in source else str(root / source), store)
    if label is None and path.suffix == ".jsonl" and path.is_file():
        with path.open("rb") as file:
            if not any(line.strip() for line in file):
                raise ConfigError(f"{redact(source)} has no rows to predict").at("batch", "data")
        return path
    key = digest([version(str(path), store), path.suffix, label])
    made = store / "rows" / f"{key[:32]}.jsonl"
    if not made.exists():
        _write_lines(path, source, label, made)
    return made


def _write_lines(path: Path, source: str, label: str | None, made: Path) -> None:
    from .monitoring.tables import batches, read_table
    from .store.disk import unfinished
    from .store.uris import redact

    try:
        frame = read_table(path)
    except ValueError as error:
        raise ConfigError(str(error)).at("batch", "data") from error
    if not frame.height:
        raise ConfigError(f"{redact(source)} has no rows to predict").at("batch", "data")
    if label is not None and label not in frame.columns:
        known = ", ".join(frame.columns[:20])
        raise ConfigError(f"{redact(source)} has no column {label!r}; it has {known}").at("batch", "label")
    rows = frame if label is None else frame.drop(label)
    with unfinished(made.parent) as (file, temporary):
        for batch in batches(rows, BATCH):
            file.write("".join(json.dumps(row, allow_nan=False) + "\n" for row in batch).encode())
        file.close()
        os.replace(temporary, made)


def _of_file(path: Path) -> Iterator[list[Any]]:
    if path.suffix == ".json" and path.is_file():
        return _batched(_rows_of(_json(path.read_text(encoding="utf-8", errors="replace"), str(path))))
    from .monitoring.tables import batches, read_table

    try:
        frame = read_table(path)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return batches(frame, BATCH)


def _of_csv(content: bytes) -> Iterator[list[Any]]:
    from .monitoring.tables import batches, read_csv

    try:
        return batches(read_csv(content, "standard input"), BATCH)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _rows_of(value: Any) -> list[Any]:
    """The rows in a JSON document: a list, one object, or an object with ``instances``."""
    if isinstance(value, dict):
        value = value.get("instances", [value])
    return value if isinstance(value, list) else [value]


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        hint = 'a row is an object, a list or a number, such as {"x": 1}'
        raise ConfigError(f"{where}: not JSON: {error}", hint=hint) from error


def _batched(rows: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
