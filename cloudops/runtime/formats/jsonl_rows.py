"""JSON lines: one row in each line, and in an answer one prediction in each line; batches are made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudops.runtime.errors import BadRequest

from .json_rows import Batch, checked


def read(body: bytes, _parameters: Mapping[str, str]) -> Batch:
    """The rows of a body of JSON lines; blank lines are passed over.

    Raises:
        BadRequest: a line is not JSON (the message has its number), there is none, or the rows are of different kinds.
    """
    lines = enumerate(body.split(b"\n"), 1)
    return Batch(checked([row(line, number) for number, line in lines if line.strip()], "body"))


def row(line: bytes, number: int) -> Any:
    """The row in a line.

    Raises:
        BadRequest: it is not JSON.
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"line {number} is not JSON: {error}") from None


def write(predictions: list[Any]) -> bytes:
    """One line per prediction."""
    lines = (json.dumps(each, ensure_ascii=False, allow_nan=False) + "\n" for each in predictions)
    return "".join(lines).encode("utf-8", "replace")
