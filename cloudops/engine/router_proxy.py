"""One request through the router: let in, given a replica, forwarded, and sent again where its replica vanished.

A request whose connection breaks before a byte of the answer was passed on is sent once more, to another replica if
there is one. So a replica may see a request that another one has begun: predictions have no side effects by contract.
A connection that was refused carried nothing, and such a request is offered again for as long as it may wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterable, Callable, Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from .router_balance import BROKEN, REFUSED, Balancer, Target
from .router_stats import Recorder

VERSION_HEADER = "x-cloudops-version"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="cloudops"'}
_HEALTH = "/-/healthz"
#: Larger bodies are passed on as they come, and cannot be sent twice.
_KEPT_BODY = 1 << 20
_CONNECT_TIMEOUT = 5.0
#: What nginx notes where the client closed the connection before it had its answer.
_CLIENT_LEFT = 499
# RFC 9110, 7.6.1: what belongs to one connection; a Connection header may name more.
_HOP_BY_HOP = (
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
)
#: What aiohttp's client would add; the replica is to see what the client sent.
_NOT_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class _Unsent(Exception):
    """The replica refused the connection: it has seen nothing of the request."""


class _Broken(Exception):
    """The replica went away while it had the request; nothing of its answer was passed on."""


def session() -> aiohttp.ClientSession:
    """The pool of connections to replicas."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=False, keepalive_timeout=3.0, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_NOT_OURS,
        max_line_size=64 * 1024,
        max_field_size=64 * 1024,
    )


class Proxy:
    """Handles requests. ``token`` gives the endpoint's token of now, "" where it has none."""

    def __init__(
        self, balancer: Balancer, recorder: Recorder, client: aiohttp.ClientSession, token: Callable[[], str]
    ) -> None:
        self._balancer, self._recorder, self._client, self._token = balancer, recorder, client, token
        self._counts: dict[str, list[int]] = {}

    def take_counts(self) -> dict[str, list[int]]:
        """Requests and 5xx answers by version since the last call."""
        counts, self._counts = self._counts, {}
        return counts

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of a client."""
        if request.path == _HEALTH:
            return self._health()
        if request.method == "CONNECT":
            return _refuse(405, "CONNECT is not served here", {"Allow": "GET, HEAD, POST, OPTIONS"})
        if not request.rel_url.raw_path.startswith("/"):
            return _refuse(400, f"cannot serve the path {request.raw_path[:200]!r}")
        if not self._authorized(request):
            return _refuse(401, "a token is needed: Authorization: Bearer <token>", _CHALLENGE)
        pin = request.headers.get(VERSION_HEADER)
        if pin is not None and pin not in self._balancer.routes:
            running = ", ".join(self._balancer.routes) or "none"
            return _refuse(404, f"version {pin!r} does not run here; running: {running}")
        return await self._recorded(request, pin)

    async def _recorded(self, request: web.BaseRequest, pin: str | None) -> web.StreamResponse:
        started = time.perf_counter()
        exchange = _Exchange(self._balancer, self._client, request, pin)
        status = _CLIENT_LEFT
        try:
            response = await exchange.run()
            status = exchange.status or response.status
            return response
        finally:
            version = exchange.version or self._balancer.blame(pin)
            self._recorder.add(time.time(), version, status, time.perf_counter() - started)
            counts = self._counts.setdefault(version, [0, 0])
            counts[0] += 1
            counts[1] += status >= 500

    def _authorized(self, request: web.BaseRequest) -> bool:
        token = self._token()
        if not token:
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(errors="replace"), token.encode(errors="replace"))
        return same and scheme.lower() == "bearer"

    def _health(self) -> web.Response:
        ready = self._balancer.ready(_now())
        return web.json_response({"ready": ready}, status=200 if ready else 503)


class _Exchange:
    """One request on its way; ``version`` has answered it, ``status`` is set where the answer broke off."""

    def __init__(
        self, balancer: Balancer, client: aiohttp.ClientSession, request: web.BaseRequest, pin: str | None
    ) -> None:
        self._balancer, self._client, self._request, self._pin = balancer, client, request, pin
        self._failed: list[str] = []
        self._deadline: float | None = None
        self.version = ""
        self.status = 0

    async def run(self) -> web.StreamResponse:
        body = await self._body()
        sent = 0
        while (target := await self._target()) is not None:
            self.version = target.version
            target.open += 1
            try:
                return await self._send(target, body)
            except _Unsent:
                self._balancer.suspect(target, _now() + REFUSED)
            except _Broken:
                self._balancer.suspect(target, _now() + BROKEN)
                sent += 1
                if sent == 2 or not isinstance(body, bytes):
                    return _refuse(502, f"version {target.version}: its replica ended while it had the request")
            except TimeoutError:
                return _refuse(504, f"version {target.version} did not answer in {target.timeout:g} s")
            finally:
                target.open -= 1
            self._failed.append(target.key)
        return _refuse(503, "no replica is ready", {"Retry-After": "1"})

    async def _body(self) -> bytes | AsyncIterable[bytes]:
        request = self._request
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not request.can_read_body:
            return b""
        length = request.content_length
        if length is not None and length <= _KEPT_BODY:
            return await request.content.read()
        return request.content.iter_any()

    async def _target(self) -> Target | None:
        """The next replica to try; while there is none, wait as long as the routes allow."""
        found = self._balancer.choose(self._pin, self._failed, _now())
        if found is not None:
            return found
        route = self._balancer.routes.get(self._balancer.blame(self._pin))
        if route is None:
            return None
        if self._deadline is None:
            self._deadline = _now() + self._balancer.hold(self._pin)
        route.waiting += 1
        try:
            return await self._wait(self._deadline)
        finally:
            route.waiting -= 1

    async def _wait(self, deadline: float) -> Target | None:
        while (left := deadline - _now()) > 0:
            with contextlib.suppress(TimeoutError):
                # New routes end the wait; a replica that was suspected may be tried again without any.
                await asyncio.wait_for(self._balancer.changed.wait(), min(left, BROKEN))
            found = self._balancer.choose(self._pin, self._failed, _now())
            if found is not None:
                return found
        return None

    async def _send(self, target: Target, body: bytes | AsyncIterable[bytes]) -> web.StreamResponse:
        request = self._request
        response: web.StreamResponse | None = None
        try:
            async with self._client.request(
                request.method,
                URL(f"http://127.0.0.1:{target.port}{request.rel_url.raw_path_qs}", encoded=True),
                headers=_passed_on(request.headers, "Expect", "Authorization", VERSION_HEADER),
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=target.timeout),
            ) as answer:
                headers = _passed_on(answer.headers)
                headers[VERSION_HEADER] = target.version
                length = answer.content_length
                if request.method == "HEAD" or (length is not None and length <= _KEPT_BODY):
                    content = await answer.read()
                    return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=content)
                response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, OSError) as error:
            if response is not None:
                return self._cut(response)
            if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                raise _Unsent from error
            if isinstance(error, TimeoutError):
                raise
            raise _Broken from error

    def _cut(self, response: web.StreamResponse) -> web.StreamResponse:
        """The answer broke off after it began: the client, if it is still there, has to see that it is incomplete."""
        self.status = _CLIENT_LEFT
        if self._request.transport is not None:
            self.status = 502
            self._request.transport.abort()
        return response


def _passed_on(headers: Mapping[str, str], *dropped: str) -> CIMultiDict[str]:
    """Headers without those that concern one connection, and without ``dropped``."""
    found = CIMultiDict(headers)
    named = [name.strip() for name in found.get("Connection", "").split(",")] if "Connection" in found else []
    for name in (*_HOP_BY_HOP, *named, *dropped):
        found.popall(name, None)
    return found


def _refuse(status: int, why: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": why}, status=status, headers=headers)


def _now() -> float:
    return asyncio.get_running_loop().time()
