"""Small real servers on the loopback address: one that serves files over HTTP, one that speaks enough of S3."""

from __future__ import annotations

import email.utils
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Server(ThreadingHTTPServer):
    """Files by path, and a record of the requests."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, dict[str, str], int]] = []
        self.answers: list[int] = []  # statuses to answer first, before anything else
        self.validators = ("ETag", "Last-Modified")
        self.modified = 1_700_000_000
        self.cut = 0  # bytes to leave out at the end
        self.location = ""  # where every request is sent

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def statuses(self) -> list[int]:
        return [status for _, _, status in self.requests]


class Web(BaseHTTPRequestHandler):
    """Answers GET with validators, as web servers do."""

    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.server.answers:
            self.answer(self.server.answers.pop(0), b"no")
        elif self.server.location:
            self.answer(302, b"", Location=self.server.location)
        elif path not in self.server.files:
            self.answer(404, b"no such file")
        else:
            self.send_file(self.server.files[path])

    def send_file(self, body: bytes) -> None:
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        modified = email.utils.formatdate(self.server.modified, usegmt=True)
        validators = {"ETag": tag, "Last-Modified": modified}
        sent = {name: validators[name] for name in self.server.validators}
        known = {"ETag": self.headers["If-None-Match"], "Last-Modified": self.headers["If-Modified-Since"]}
        if any(known[name] == value for name, value in sent.items()):
            self.answer(304, b"", **sent)
        elif self.headers["Range"] and not body:
            self.answer(416, b"", **sent)
        elif self.headers["Range"]:
            self.answer(206, body[:1], **sent)
        else:
            self.answer(200, body, **sent)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.server.requests.append((self.path, dict(self.headers), status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) - self.server.cut])
        self.close_connection = self.close_connection or bool(self.server.cut)


class S3(BaseHTTPRequestHandler):
    """HEAD and GET of objects, ListObjectsV2 in pages of two; the files are named ``/bucket/key``."""

    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        path = unquote(url.path)
        if self.server.answers:
            self.answer(self.server.answers.pop(0), b"<Error><Code>No</Code></Error>")
        elif "list-type" in query:
            self.answer(200, self.listing(path.strip("/"), query).encode(), "application/xml")
        elif path in self.server.files:
            self.answer(200, self.server.files[path])
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def listing(self, bucket: str, query: dict[str, str]) -> str:
        start = f"/{bucket}/{query.get('prefix', '')}"
        paths = sorted(path for path in self.server.files if path.startswith(start))
        after = query.get("continuation-token", "")
        page = [path for path in paths if path > after][:2]
        more = page and page[-1] != paths[-1]
        items = "".join(
            f"<Contents><Key>{escape(path.removeprefix(f'/{bucket}/'))}</Key><Size>{len(self.server.files[path])}</Size>"
            f"<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>{self.tag(path)}</ETag></Contents>"
            for path in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
        return f"<ListBucketResult><Name>{bucket}</Name>{truncated}{token}{items}</ListBucketResult>"

    def tag(self, path: str) -> str:
        return f'"{hashlib.md5(self.server.files[path]).hexdigest()}"'

    def answer(self, status: int, body: bytes, kind: str = "application/octet-stream") -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((f"{self.command} {path}", dict(self.headers), status))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        self.send_response(206 if wanted and status == 200 else status)
        if wanted and status == 200:
            first, last = int(wanted[1]), int(wanted[2] or len(body) - 1)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            body = body[first : last + 1]
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        if path in self.server.files:
            self.send_header("ETag", self.tag(path))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving(handler: Any) -> Iterator[Server]:
    server = Server(handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
