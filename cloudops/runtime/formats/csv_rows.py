"""CSV bodies. As on SageMaker there is no header line, unless the type is ``text/csv; header=present`` (RFC 4180).

With a header each row becomes ``{column: value}``, without one a list. A cell is an integer or a float when it is
written as one (``007`` is text), None when it is empty, else text. Responses have one line per prediction.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

from cloudops.runtime.errors import BadRequest, HttpError

from .json_rows import Batch, checked

_INTEGER = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[-+]?inf(?:inity)?|nan", re.ASCII | re.I)


def read(body: bytes, parameters: Mapping[str, str]) -> Batch:
    """The rows of a CSV body.

    Raises:
        BadRequest: it is not text in its charset, is empty, or its lines differ in length.
        HttpError: 415 for a charset that is unknown.
    """
    lines = _lines(_decoded(body, parameters.get("charset", "utf-8")))
    if parameters.get("header", "absent").lower() != "present":
        return Batch(checked([[_cell(text) for text in line] for line in lines], "body"))
    header, *rest = lines or [[]]
    checked(rest, "body")
    if len(set(header)) != len(header):
        raise BadRequest("the header line names a column twice")
    for number, line in enumerate(rest):
        if len(line) != len(header):
            raise BadRequest(f"row {number} has {len(line)} values and the header {len(header)} columns")
    return Batch([{name: _cell(text) for name, text in zip(header, line)} for line in rest])  # noqa: B905 - Python 3.9


def write(predictions: list[Any]) -> bytes:
    """One line per prediction: its values when it is a list or an object, else itself; None is an empty cell."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    for prediction in predictions:
        values = prediction.values() if isinstance(prediction, dict) else prediction
        writer.writerow(list(values) if isinstance(prediction, (list, dict)) else [values])
    return sink.getvalue().encode("utf-8", "replace")


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset).lstrip("\ufeff")
    except LookupError:
        raise HttpError(415, f"the charset {charset!r} is unknown; send UTF-8") from None
    except ValueError as error:
        raise BadRequest(f"the body is not text in {charset}: {error}") from None


def _lines(text: str) -> list[list[str]]:
    try:
        return [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise BadRequest(f"the body is not CSV: {error}") from None


def _cell(text: str) -> Any:
    stripped = text.strip()
    if not stripped:
        return None
    if _INTEGER.fullmatch(stripped):
        return int(stripped)
    if _FLOAT.fullmatch(stripped):
        return float(stripped)
    return text
