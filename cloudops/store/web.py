"""Inputs by ``https://`` and ``http://``: fetched once per version, checked for completeness.

A cached file is confirmed by its ETag or Last-Modified. A server that sends neither is asked for everything each time:
nothing less tells whether the content has changed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from cloudops.errors import (
    AuthError,
    ConfigError,
    InvalidRequest,
    NotFound,
    ProviderError,
    Throttled,
    Unavailable,
)

from .disk import BUFFER, unfinished
from .uris import redact

Result = TypeVar("Result")

#: Seconds without a byte after which a server is taken to be gone.
TIMEOUT = 30.0
#: Seconds between attempts, where a failure may pass.
DELAYS = (0.5, 2.0)
#: What may stand unquoted in a path or query: what is already quoted stays as it is.
_SAFE = "%/:=&?~#+!$,;'@()*[]"
_ERRORS: dict[int, tuple[type[ProviderError], str]] = {
    401: (AuthError, "it wants credentials: https://USER:PASSWORD@host/..., or a signed URL"),
    403: (AuthError, "the signature may have expired, or this machine may not read it"),
    404: (NotFound, "check the address"),
    407: (AuthError, "the proxy wants credentials: set https_proxy"),
    408: (Unavailable, "try again later"),
    410: (NotFound, "check the address"),
    429: (Throttled, "try again later"),
}


def fetch(uri: str, cache_dir: Path, *, sleep: Callable[[float], None] = time.sleep) -> Path:
    """The file at ``uri``, on this machine; see :func:`cloudops.store.fetch.fetch`."""
    parts = _split(uri)
    if parts.path.endswith("/") and not parts.query:
        raise ConfigError(f"{redact(uri)} is a folder, which https cannot list", hint="name one file")
    if "*" in parts.path:
        raise ConfigError(f"{redact(uri)} has a wildcard, which https cannot expand", hint="name one file")
    folder = cache_dir / "web" / hashlib.sha256(uri.encode()).hexdigest()[:32]
    return _retrying(lambda: _Download(uri, folder).run(), sleep)


def version(uri: str, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """What identifies the content now: its ETag, else its Last-Modified, else the digest of all of it (it is read)."""

    def ask() -> str:
        # Not HEAD: a URL that is signed for GET refuses it. An empty file has no first byte: 416.
        with _answer(uri, {"Range": "bytes=0-0"}, but=416) as answer:
            return answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""

    return _retrying(ask, sleep) or _retrying(lambda: _digest(uri), sleep)


def _digest(uri: str) -> str:
    sha, size = hashlib.sha256(), 0
    with _answer(uri, {}, but=416) as answer:
        for piece in _pieces(uri, answer):
            sha.update(piece)
            size += len(piece)
        _check_length(uri, answer, size)
    return f"sha256:{sha.hexdigest()}"


class _Download:
    """One URI and the folder that holds the versions of its content that were fetched."""

    def __init__(self, uri: str, folder: Path) -> None:
        self._uri = uri
        self._folder = folder
        self._notes = folder / "latest.json"

    def run(self) -> Path:
        known = self._known()
        headers = {"If-None-Match": known["etag"], "If-Modified-Since": known["modified"]} if known else {}
        with _answer(self._uri, {name: value for name, value in headers.items() if value}, but=304) as answer:
            if answer.status == 304 and known:
                return self._folder / known["file"]
            return self._keep(answer)

    def _known(self) -> dict[str, str]:
        """The notes on the latest version; none where they or the file are damaged."""
        try:
            notes: dict[str, str] = json.loads(self._notes.read_bytes())
            intact = (self._folder / notes["file"]).stat().st_size == int(notes["size"])
            return notes if intact and notes.keys() >= {"etag", "modified"} else {}
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def _keep(self, answer: _Answer) -> Path:
        sha = hashlib.sha256()
        size = 0
        with unfinished(self._folder) as (file, temporary):
            for piece in _pieces(self._uri, answer):
                sha.update(piece)
                file.write(piece)
                size += len(piece)
            file.close()
            _check_length(self._uri, answer, size)
            path = self._folder / sha.hexdigest()[:32] / _file_name(self._uri)
            path.parent.mkdir(exist_ok=True)
            os.replace(temporary, path)
        headers = answer.headers
        notes = {"etag": headers.get("ETag", ""), "modified": headers.get("Last-Modified", ""), "size": str(size)}
        self._note({**notes, "file": str(path.relative_to(self._folder))})
        return path

    def _note(self, notes: dict[str, str]) -> None:
        with unfinished(self._folder) as (file, temporary):
            file.write(json.dumps(notes).encode())
            file.close()
            os.replace(temporary, self._notes)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to anything less."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.lower().startswith("https://"):
            raise urllib.error.URLError("it redirects to an address without encryption, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_Answer = HTTPResponse | urllib.error.HTTPError


@contextlib.contextmanager
def _answer(uri: str, headers: dict[str, str], *, but: int) -> Iterator[_Answer]:
    """The answer to a GET; an HTTP status that is an error raises, except ``but``."""
    request = _request(uri, headers)
    answer: _Answer
    with _explained(uri):
        try:
            answer = urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != but:
                raise
            answer = error
    with answer:
        yield answer


def _pieces(uri: str, answer: _Answer) -> Iterator[bytes]:
    while True:
        with _explained(uri):
            piece = answer.read(BUFFER)
        if not piece:
            return
        yield piece


def _check_length(uri: str, answer: _Answer, size: int) -> None:
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and int(length) != size:
        raise Unavailable(f"{redact(uri)} broke off after {size} of {length} bytes", hint="run again")


def _request(uri: str, headers: dict[str, str]) -> urllib.request.Request:
    parts = _split(uri)
    host = parts.netloc.rpartition("@")[2]
    plain = urlunsplit((parts.scheme, host, quote(parts.path, _SAFE), quote(parts.query, _SAFE), ""))
    request = urllib.request.Request(plain, headers={"User-Agent": "cloudops", **headers})
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    return request


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"{redact(uri)} is not a valid address", hint="expected https://HOST/PATH")
    return parts


def _file_name(uri: str) -> str:
    """The last part of the path, so that a reader can go by the suffix."""
    name = unquote(urlsplit(uri).path.rpartition("/")[2])
    return re.sub(r"[^\w. +=-]", "_", name).lstrip(".")[-100:] or "data"


@contextlib.contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn what urllib raises into errors of this project, without the query of the URI."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise _refusal(uri, error) from error
    except (OSError, http.client.HTTPException) as error:
        raise _silence(uri, error) from error


def _refusal(uri: str, error: urllib.error.HTTPError) -> ProviderError:
    kind, hint = _ERRORS.get(error.code, (InvalidRequest, "check the address"))
    if error.code >= 500:
        kind, hint = Unavailable, "try again later"
    reason = redact(" ".join(str(error.reason).split()))
    return kind(f"{redact(uri)}: HTTP {error.code} {reason}", code=str(error.code), hint=hint)


def _silence(uri: str, error: Exception) -> ProviderError:
    reason: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    shown = redact(uri)
    if isinstance(reason, socket.gaierror):
        host = urlsplit(uri).hostname
        return Unavailable(f"{shown}: the host {host} is not known ({reason.strerror})", hint="check the spelling")
    if isinstance(reason, ssl.SSLCertVerificationError):
        hint = "set SSL_CERT_FILE where a private authority signed it"
        return InvalidRequest(f"{shown}: the certificate is not trusted: {reason.verify_message}", hint=hint)
    if isinstance(reason, TimeoutError):
        return Unavailable(f"{shown}: no answer within {TIMEOUT:g} s", hint="try again later")
    if isinstance(reason, str):
        return InvalidRequest(f"{shown}: {redact(reason)}", hint="check the address")
    return Unavailable(f"{shown}: {redact(str(reason) or type(reason).__name__)}", hint="try again later")


def _retrying(call: Callable[[], Result], sleep: Callable[[float], None]) -> Result:
    for delay in DELAYS:
        try:
            return call()
        except ProviderError as error:
            if not error.retryable:
                raise
            sleep(delay)
    return call()
