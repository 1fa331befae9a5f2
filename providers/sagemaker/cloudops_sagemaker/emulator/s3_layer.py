"""What moto's S3 takes quadratic time for: bodies in chunks, as today's clients send every object."""

from __future__ import annotations

import io
from typing import Any


def install() -> None:
    """Have moto put the pieces of a body together at once: a copy for each of them costs seconds from 100 MB on."""
    from moto.s3.responses import S3Response

    setattr(S3Response, "_handle_encoded_body", _decoded)  # noqa: B010 - a method of moto's, for mypy


def _decoded(_self: Any, body: Any) -> bytes:
    """The content of an ``aws-chunked`` body without signatures; the checksum behind it is left aside, as by moto.

    Each piece is its size in hexadecimal digits, a line's end, the bytes, a line's end; the last one has none.
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
    """
    stream = io.BytesIO(body) if isinstance(body, bytes) else body
    pieces = []
    while stream and (size := int(stream.readline().split(b";")[0].strip() or b"0", 16)):
        pieces.append(stream.read(size))
        stream.readline()
    return b"".join(pieces)
