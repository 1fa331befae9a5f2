"""The fast server: uvicorn, with httptools and uvloop where they are installed.

Predictions run in a pool of threads, so that the event loop answers health checks while a model is slow; everything
else is answered in the loop. (Predicting in the loop saves the hand-over, less than 0.1 ms of a scikit-learn model's
0.3, and then one slow call makes the whole replica look dead.)
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional

from .app import App
from .messages import Request, Response
from .server_std import LINGER_BYTES, LINGER_SECONDS

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class AsgiServer:
    """Serves ``app`` on a listening socket with at most ``app.settings.threads`` predictions at once.

    Raises:
        ModuleNotFoundError: uvicorn is not installed.
    """

    name = "uvicorn"

    def __init__(self, app: App, listener: socket.socket) -> None:
        import uvicorn

        class Server(uvicorn.Server):
            """Signals are :mod:`.serve`'s business."""

            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

        self._app = app
        self._listener = listener
        self._pool = ThreadPoolExecutor(app.settings.threads, thread_name_prefix="predict")
        config = uvicorn.Config(
            self._call,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=1024,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, int(app.settings.shutdown_grace)),
        )
        self._server = Server(config)

    def run(self) -> None:
        """Serve until :meth:`stop`."""
        self._server.run(sockets=[self._listener])
        self._pool.shutdown(wait=False)

    def stop(self, *, force: bool) -> None:
        """Stop accepting and close all connections, with ``force`` those in use too; called from any thread."""
        self._server.force_exit = force
        self._server.should_exit = True

    async def _call(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        app = self._app
        with app.lifecycle.request():
            headers = _headers(scope)
            try:
                body = await self._body(headers, receive)
            except _TooLarge:
                await _refuse(app.too_large(), receive, send)
                return
            if body is None:  # the client went away
                return
            request = Request(scope["method"], scope["path"], headers, body)
            if request.method == "POST":
                response = await asyncio.get_running_loop().run_in_executor(self._pool, app.handle, request)
            else:
                response = app.handle(request)
            await _send(response, send)

    async def _body(self, headers: dict[str, str], receive: _Receive) -> Optional[bytes]:
        limit = self._app.settings.max_payload
        if int(headers.get("content-length", "0")) > limit:
            raise _TooLarge
        parts: list[bytes] = []
        total = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            part = message.get("body", b"")
            total += len(part)
            if total > limit:
                raise _TooLarge
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


class _TooLarge(Exception):
    """The body is over the limit."""


def _headers(scope: _Message) -> dict[str, str]:
    headers: dict[str, str] = {}
    for key, value in scope["headers"]:
        name, text = key.decode("latin-1"), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


async def _send(response: Response, send: _Send, *, more: bool = False) -> None:
    headers = [
        (b"content-type", response.content_type.encode("latin-1")),
        (b"content-length", str(len(response.body)).encode()),
        *((key.encode("latin-1"), value.encode("latin-1")) for key, value in response.headers.items()),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": more})


async def _refuse(response: Response, receive: _Receive, send: _Send) -> None:
    """Answer at once, then throw away what the client is still sending, for a while: see :mod:`.server_std`."""
    response.headers["connection"] = "close"
    await _send(response, send, more=True)
    deadline = time.monotonic() + LINGER_SECONDS
    discarded = 0
    with contextlib.suppress(asyncio.TimeoutError):
        while discarded < LINGER_BYTES:
            message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
            discarded += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                break
    await send({"type": "http.response.body", "body": b""})
