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
from collections.abc import AsyncIterator, Mapping

from aiohttp import web
from multidict import CIMultiDict

from .router_balance import BROKEN, REFUSED, Balancer, Target
from .router_room import Room
from .router_stats import Recorder
from .router_upstream import BadUpload, Body, Broken, Pool, Unsent
from .router_wire import passed_on
from .service_key import HEADER
from .service_secrets import Secrets

VERSION_HEADER = "x-cloudops-version"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="cloudops"'}
_HEALTH = "/-/healthz"
#: Larger bodies are passed on as they come, and cannot be sent twice: the runtime's 25 MiB of payload, where that is
#: left as it is, and a bit.
_KEPT_BODY = 26 << 20
#: The same where the bodies of all open requests take more; those that are small are kept in any case.
_KEPT_BODIES = 256 << 20
_SMALL_BODY = 1 << 20
#: Larger answers are passed on as they come, and what breaks off in them cannot be repeated.
_WHOLE_ANSWER = 1 << 20
#: What nginx notes where the client closed the connection before it had its answer.
_CLIENT_LEFT = 499
_LENGTH = frozenset((b"content-length",))
_KEY = frozenset((HEADER.encode(),))
_OURS = frozenset((b"expect", VERSION_HEADER.encode())) | _KEY


class Proxy:
    """Handles requests. ``secrets`` are those of now: its owner changes them when they change."""

    def __init__(self, balancer: Balancer, recorder: Recorder, pool: Pool, secrets: Secrets) -> None:
        self._balancer, self._recorder, self._pool, self._secrets = balancer, recorder, pool, secrets
        self._room = Room(_KEPT_BODIES, _KEPT_BODY, _SMALL_BODY)
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
        dropped = _OURS | {b"authorization"} if self._secrets.token else _OURS
        exchange = _Exchange(self._balancer, self._pool, request, pin, dropped, self._secrets.key)
        status = _CLIENT_LEFT
        try:
            with self._room.keep(request.content_length) as kept:
                response = await exchange.run(kept=kept)
            status = exchange.status or response.status
            return response
        finally:
            version = exchange.version or self._balancer.blame(pin)
            self._recorder.add(time.time(), version, status, time.perf_counter() - started)
            counts = self._counts.setdefault(version, [0, 0])
            counts[0] += 1
            counts[1] += status >= 500

    def _authorized(self, request: web.BaseRequest) -> bool:
        token = self._secrets.token
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
        self,
        balancer: Balancer,
        pool: Pool,
        request: web.BaseRequest,
        pin: str | None,
        dropped: frozenset[bytes],
        key: str,
    ) -> None:
        self._balancer, self._pool, self._request, self._pin, self._dropped = balancer, pool, request, pin, dropped
        self._key = key
        self._failed: list[str] = []
        self._deadline: float | None = None
        self.version = ""
        self.status = 0

    async def run(self, *, kept: bool) -> web.StreamResponse:
        """Answer the request; ``kept``: its body may be held in memory to be sent again."""
        body = await self._body(kept=kept)
        sent = 0
        while (target := await self._target()) is not None:
            self.version = target.version
            target.open += 1
            try:
                return await self._send(target, body)
            except Unsent:
                self._balancer.suspect(target, _now() + REFUSED)
            except Broken:
                self._balancer.suspect(target, _now() + BROKEN)
                sent += 1
                if sent == 2 or not isinstance(body, bytes):
                    return _refuse(502, f"version {target.version}: its replica ended while it had the request")
            except BadUpload as error:
                return _refuse(400, f"the body cannot be read: {error}")
            except TimeoutError:
                return _refuse(504, f"version {target.version} did not answer in {target.timeout:g} s")
            finally:
                target.open -= 1
            self._failed.append(target.key)
        return _refuse(503, "no replica is ready", {"Retry-After": "1"})

    async def _body(self, *, kept: bool) -> Body:
        request = self._request
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not request.can_read_body:
            return b""
        if kept:
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

    async def _send(self, target: Target, body: Body) -> web.StreamResponse:
        request = self._request
        connection = await self._pool.acquire(target.port)
        try:
            answer = await connection.request(
                request.method,
                request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs,
                self._headers(target, chunked=not isinstance(body, bytes) and request.content_length is None),
                body,
                chunked=request.content_length is None,
                timeout=target.timeout,
                whole=_WHOLE_ANSWER,
            )
            headers = CIMultiDict(
                (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
                for name, value in passed_on(answer.headers, _KEY if answer.length is not None else _KEY | _LENGTH)
            )
            headers[VERSION_HEADER] = target.version
            headers.setdefault("Server", "cloudops")
            if answer.done:
                return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=answer.take())
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
            return await self._stream(response, connection.rest(target.timeout))
        finally:
            self._pool.release(target.port, connection)

    async def _stream(self, response: web.StreamResponse, parts: AsyncIterator[bytes]) -> web.StreamResponse:
        """Pass an answer on as it comes; from here on nothing can be taken back."""
        try:
            await response.prepare(self._request)
            async for part in parts:
                await response.write(part)
            await response.write_eof()
        except (Broken, BadUpload, OSError):
            return self._cut(response)
        return response

    def _headers(self, target: Target, *, chunked: bool) -> list[tuple[bytes, bytes]]:
        headers = passed_on(self._request.raw_headers, self._dropped)
        if "Host" not in self._request.headers:
            headers.append((b"Host", b"127.0.0.1:%d" % target.port))
        headers.append((HEADER.encode(), self._key.encode()))
        if chunked:
            headers.append((b"Transfer-Encoding", b"chunked"))
        return headers

    def _cut(self, response: web.StreamResponse) -> web.StreamResponse:
        """The answer broke off after it began: the client, if it is still there, has to see that it is incomplete."""
        self.status = _CLIENT_LEFT
        if self._request.transport is not None:
            self.status = 502
            self._request.transport.abort()
        return response


def _refuse(status: int, why: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": why}, status=status, headers=headers)


def _now() -> float:
    return asyncio.get_running_loop().time()
