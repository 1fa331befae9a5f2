"""The recorded exchanges, with values in the place of the recorder's placeholders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

_FOLDER = Path(__file__).parents[1] / "data" / "vertex"
#: ``service_disabled_403`` is of an older service, whose hosts are not emulated.
NAMES = ("custom_job", "dataset", "endpoint", "pipeline_job", "schedule", "study", "tensorboard")
PROJECT, NUMBER = "example-project", "123456789012"
_VALUES = {"projectId": PROJECT, "projectNumber": NUMBER, "uniqueId": "abc123"}


@dataclass(frozen=True)
class Exchange:
    """One of them; a call over gRPC has the verb ``GRPC`` and its method as the path."""

    name: str
    verb: str
    host: str
    path: str
    query: dict[str, list[str]]
    body: Any
    status: str
    answer: Any


def exchanges(name: str) -> Iterator[Exchange]:
    """Those of a file, in their order."""
    text = (_FOLDER / f"{name}.json").read_text(encoding="utf-8")
    filled = re.sub(r"\$\{(\w+)\}", lambda found: _VALUES.get(found[1], str(crc32(found[1].encode()))), text)
    for number, one in enumerate(json.loads(filled)):
        request, response = one["request"], one["response"]
        parts = urlsplit(request["url"])
        query = parse_qs(parts.query, keep_blank_values=True)
        yield Exchange(
            f"{name}-{number}",
            request["method"],
            parts.hostname or "",
            parts.path,
            query,
            request["body"],
            str(response["status"]),
            response["body"],
        )
