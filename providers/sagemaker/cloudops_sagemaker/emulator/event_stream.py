"""Frames of AWS's event streams (``application/vnd.amazon.eventstream``)."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping

_STRING = 7


def event(name: str, payload: bytes) -> bytes:
    """An event of that type whose payload is bytes."""
    return _frame({":event-type": name, ":content-type": "application/octet-stream", ":message-type": "event"}, payload)


def exception(name: str, members: Mapping[str, str]) -> bytes:
    """An error of that type, after which nothing follows."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return _frame(headers, json.dumps(dict(members)).encode())


def _frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Lengths, their checksum, headers, payload, and the checksum of it all."""
    packed = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 12 + len(packed) + len(payload) + 4, len(packed))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack("!I", zlib.crc32(message))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack("!B", len(key)) + key + struct.pack("!BH", _STRING, len(text)) + text
