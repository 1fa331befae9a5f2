"""Requests over gRPC: a method's name as the path, messages in frames, the status in trailers.

The frames are those of gRPC over HTTP/2: a byte that says whether the message is compressed, its length in four bytes,
and the message (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
"""

from __future__ import annotations

import base64
import gzip
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from google.protobuf import json_format

from .protocol import pool
from .protocol.errors import CODES, ServiceError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from google.protobuf.descriptor import MethodDescriptor

_HEADERS = [("Content-Type", "application/grpc")]
_LARGEST = 64 << 20
#: Characters of a message that are sent as they are.
_PLAIN = " !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"
#: The types of details that the descriptors know.
_DETAILS = ("type.googleapis.com/google.rpc.BadRequest",)


def is_call(environ: WSGIEnvironment) -> bool:
    """Whether a request is a call over gRPC."""
    return str(environ.get("CONTENT_TYPE", "")).startswith("application/grpc")


def method(environ: WSGIEnvironment) -> MethodDescriptor:
    """The method that is called.

    Raises:
        ServiceError: UNIMPLEMENTED: there is none of that name.
    """
    service, _, name = environ["PATH_INFO"].strip("/").partition("/")
    found = pool.method_or_none(f"{service}.{name}")
    if found is None:
        raise ServiceError("UNIMPLEMENTED", f"The server does not implement the method {environ['PATH_INFO']}")
    return found


def read(environ: WSGIEnvironment, called: MethodDescriptor) -> Any:
    """The request's message.

    Raises:
        ServiceError: INTERNAL, RESOURCE_EXHAUSTED or INVALID_ARGUMENT: it is no message of that type.
    """
    if called.client_streaming:
        raise ServiceError("UNIMPLEMENTED", f"{called.full_name}: streams of requests are not emulated offline")
    head = environ["wsgi.input"].read(5)
    if len(head) < 5:
        raise ServiceError("INTERNAL", "the request has no message")
    compressed, length = struct.unpack(">BI", head)
    if length > _LARGEST:
        raise ServiceError("RESOURCE_EXHAUSTED", f"the request has {length} bytes; {_LARGEST} are taken")
    data = environ["wsgi.input"].read(length)
    if compressed:
        data = _unpacked(data, environ.get("HTTP_GRPC_ENCODING", "identity"))
    request = pool.class_of(called.input_type)()
    try:
        request.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError, of one of its implementations
        raise ServiceError("INVALID_ARGUMENT", f"the request is no {called.input_type.full_name}: {error}") from None
    return request


def write(environ: WSGIEnvironment, answer: Any, start_response: StartResponse) -> Iterable[bytes]:
    """The answer's message, or those of a stream, as they come."""
    if isinstance(answer, Iterator):
        return _stream(environ, answer, start_response)
    start_response("200 OK", _HEADERS)
    environ["cloudops.trailers"]([("grpc-status", "0")])
    return [_frame(answer)]


def refuse(environ: WSGIEnvironment, error: ServiceError, start_response: StartResponse) -> Iterable[bytes]:
    """An error: a status without a message."""
    start_response("200 OK", _HEADERS)
    environ["cloudops.trailers"](_status(error))
    return []


def _stream(environ: WSGIEnvironment, messages: Iterator[Any], start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", _HEADERS)
    trailers = [("grpc-status", "0")]
    try:
        for one in messages:
            yield _frame(one)
    except ServiceError as error:
        trailers = _status(error)
    environ["cloudops.trailers"](trailers)


def _frame(message: Any) -> bytes:
    data = message.SerializeToString()
    return struct.pack(">BI", 0, len(data)) + bytes(data)


def _status(error: ServiceError) -> list[tuple[str, str]]:
    number = CODES[error.code][1]
    found = [("grpc-status", str(number)), ("grpc-message", quote(error.message, safe=_PLAIN))]
    details = [dict(one) for one in error.details if one["@type"] in _DETAILS]
    if details:
        value = {"code": number, "message": error.message, "details": details}
        status = json_format.ParseDict(value, pool.message("google.rpc.Status")(), descriptor_pool=pool.pool())
        packed = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
        found.append(("grpc-status-details-bin", packed))
    return found


def _unpacked(data: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(data)
    if encoding == "deflate":
        return zlib.decompress(data)
    raise ServiceError("UNIMPLEMENTED", f"messages that are packed by {encoding!r} are not understood")
