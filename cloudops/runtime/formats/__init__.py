"""The formats of request and response bodies: one table of content type to reader and writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from cloudops.runtime.errors import HttpError
from cloudops.runtime.media import choose, parse

from . import csv_rows, json_rows, jsonl_rows, npy_rows
from .json_rows import Batch

__all__ = ["Batch", "Format", "answer_format", "read"]


@dataclass(frozen=True)
class Format:
    """A media type: how rows are read from it, and predictions (one plain value per row) written as it."""

    kind: str
    read: Callable[[bytes, Mapping[str, str]], Batch]
    write: Callable[[list[Any]], bytes]


_FORMATS = {
    each.kind: each
    for each in (
        Format("application/json", json_rows.read, json_rows.write),
        Format("text/csv", csv_rows.read, csv_rows.write),
        Format("application/x-npy", npy_rows.read, npy_rows.write),
        Format("application/jsonlines", jsonl_rows.read, jsonl_rows.write),
    )
}


def read(body: bytes, content_type: str) -> Batch:
    """The rows in ``body``; without a content type it is taken for JSON.

    Raises:
        HttpError: 415 for another content type.
        BadRequest: the body is not what its content type says.
    """
    kind, parameters = parse(content_type or "application/json")
    if kind not in _FORMATS:
        raise HttpError(415, f"content type {kind!r} is not understood; send one of {', '.join(_FORMATS)}")
    return _FORMATS[kind].read(body, parameters)


def answer_format(accept: str) -> Format:
    """The format that an ``Accept`` header asks for; JSON where it does not care.

    Raises:
        HttpError: 406 where none of ours will do.
    """
    kind = choose(accept, list(_FORMATS))
    if kind is None:
        raise HttpError(406, f"no response can be made as {accept!r}; accept one of {', '.join(_FORMATS)}")
    return _FORMATS[kind]
