"""An emulator that answers for Amazon S3's real host names with one object, for clients that are hard to redirect."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cloudops.offline.emulator import Environment

from .fake import FakeCloud


class S3(FakeCloud):
    """Every key holds its own host and path."""

    name = "s3"
    hosts = ("s3.*.amazonaws.com", "*.s3.*.amazonaws.com")

    @classmethod
    def environment(cls, folder: Path) -> Environment:
        keys = {"AWS_ACCESS_KEY_ID": "throw-away", "AWS_SECRET_ACCESS_KEY": "throw-away"}
        unset = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_SESSION_TOKEN", "AWS_PROFILE")
        return Environment(keys, unset, [(("AWS_REGION",), "eu-west-1")])

    def _answer(self, environ: Any, start: Any) -> Iterable[bytes]:
        put = environ["REQUEST_METHOD"] == "PUT"
        seen = len(environ["wsgi.input"].read()) if put else 0
        body = b"" if put else f"{environ['HTTP_HOST']}{environ['PATH_INFO']}".encode()
        stamp = "Wed, 21 Oct 2026 07:28:00 GMT"
        headers = [
            ("ETag", '"one"'),
            ("Last-Modified", stamp),
            ("Content-Length", str(len(body))),
            ("x-seen", str(seen)),
        ]
        start("200 OK", headers)
        return [body]
