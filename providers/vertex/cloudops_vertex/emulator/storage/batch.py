"""Several requests of the JSON API in one (multipart/mixed), each answered as if it had come alone.

https://cloud.google.com/storage/docs/batch is the protocol.
"""

from __future__ import annotations

import email.parser
import email.policy
import io
import uuid
from collections.abc import Callable
from email.message import Message
from typing import TYPE_CHECKING, Any

from .answer import Answer
from .errors import StorageError
from .request import Request

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

_MOST = 1000


def answered(request: Request, answer: Callable[[WSGIEnvironment], tuple[str, list[tuple[str, str]], bytes]]) -> Answer:
    """The answers to all requests in the body of one; ``answer`` gives status, headers and body of each.

    Raises:
        StorageError: the body is malformed, or there are too many of them.
    """
    parts = _parts(request)
    if len(parts) > _MOST:
        raise StorageError(f"The batch request exceeds the limit of {_MOST} calls.", reason="batchSizeTooLarge")
    boundary = f"batch_{uuid.uuid4().hex}"
    pieces = []
    for number, part in enumerate(parts, 1):
        status, headers, body = answer(_environ(request, part))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
        id = part.get("Content-ID", f"<{number}>").strip("<>")
        own = f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <response-{id}>\r\n\r\n"
        pieces += [f"{own}HTTP/1.1 {status}\r\n".encode(), head, b"\r\n", body, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return Answer(200, {"Content-Type": f"multipart/mixed; boundary={boundary}"}, b"".join(pieces))


def _parts(request: Request) -> list[Message]:
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode("latin-1")
    whole = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(head + request.text())
    if not whole.is_multipart():
        raise StorageError("Failed to parse batch request.", reason="badRequest")
    return [part for part in whole.get_payload() if isinstance(part, Message)]


def _environ(request: Request, part: Message) -> WSGIEnvironment:
    """A request in a batch, with what it has of the one around it."""
    content: Any = part.get_payload(decode=True)
    head, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    line, _, rest = head.partition(b"\n")
    try:
        method, target = line.decode("latin-1").split(" ")[:2]
    except ValueError:
        raise StorageError("Failed to parse batch request.", reason="badRequest") from None
    headers = email.parser.BytesHeaderParser(policy=email.policy.compat32).parsebytes(rest)
    kept = ("wsgi.", "SERVER_", "REMOTE_", "HTTP_AUTHORIZATION", "HTTP_HOST", "SCRIPT_NAME")
    environ = {key: value for key, value in request.environ.items() if key.startswith(kept)}
    path = target if target.startswith("/") else "/" + target.partition("://")[2].partition("/")[2]
    environ |= {
        "REQUEST_METHOD": method,
        "RAW_URI": path,
        "QUERY_STRING": path.partition("?")[2],
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value
        elif key not in ("CONTENT_LENGTH", "HOST"):
            environ[f"HTTP_{key}"] = value
    return environ
