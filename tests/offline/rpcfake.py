"""An emulator that speaks gRPC by hand: messages are bytes, in frames of five bytes and themselves."""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudops.offline.emulator import Emulator, Environment, Resource, Surroundings
from cloudops.offline.faults import FaultKind

HEADERS = [("Content-Type", "application/grpc")]


class RpcCloud(Emulator):
    """``api.rpc.test``: each method of ``fake.Rpc`` is a method of this class."""

    name = "rpc"
    hosts = ("*.rpc.test",)

    @classmethod
    def environment(cls, folder: Path) -> Environment:
        return Environment({})

    def __init__(self, surroundings: Surroundings) -> None:
        self._calls: list[Mapping[str, Any]] = []
        self._go = threading.Event()

    @property
    def application(self) -> Any:
        return self._answer

    def operation(self, environ: Any) -> tuple[str, str]:
        return "rpc:" + environ["PATH_INFO"].rpartition("/")[2], ""

    def refuse(self, kind: FaultKind, environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [*HEADERS, ("Grpc-Status", "8"), ("Grpc-Message", f"Fake {kind}")])
        return []

    def resources(self) -> list[Resource]:
        return []

    def calls(self) -> list[Mapping[str, Any]]:
        return list(self._calls)

    def reset(self) -> None:
        self._calls.clear()
        self._go.clear()

    def close(self) -> None:
        pass

    def _note(self, what: str, resource: str = "") -> None:
        self._calls.append({"operation": f"rpc:{what}", "resource": resource, "principal": "caller", "status": 200})

    def _answer(self, environ: Any, start: Any) -> Iterable[bytes]:
        method = environ["PATH_INFO"].rpartition("/")[2]
        self._note(method)
        method_of_ours: Iterable[bytes] = getattr(self, f"rpc_{method.lower()}")(environ, start)
        return method_of_ours

    def rpc_echo(self, environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", [*HEADERS, ("X-Host", environ["HTTP_HOST"]), ("X-Protocol", environ["SERVER_PROTOCOL"])])
        (message,) = messages(environ)
        environ["cloudops.trailers"]([("grpc-status", "0"), ("x-mine", environ.get("HTTP_X_MINE", ""))])
        return [frame(message)]

    def rpc_refuse(self, environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", [*HEADERS, ("grpc-status", "5"), ("grpc-message", "no such thing")])
        return []

    def rpc_nothing(self, environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", HEADERS)
        environ["cloudops.trailers"]([("grpc-status", "9"), ("grpc-message", "not%20yet")])
        return []

    def rpc_count(self, environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", HEADERS)
        (message,) = messages(environ)
        count, size = map(int, message.split())
        for number in range(count):
            yield frame(b"%d" % number + b"." * size)
        environ["cloudops.trailers"]([("grpc-status", "10" if count == 3 else "0"), ("grpc-message", "at the end")])

    def rpc_digest(self, environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", HEADERS)
        digest = hashlib.sha256()
        for message in messages(environ):
            digest.update(message)
        environ["cloudops.trailers"]([("grpc-status", "0")])
        return [frame(digest.digest())]

    def rpc_chat(self, environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", HEADERS)
        for message in messages(environ):
            yield frame(b"heard " + message)
        environ["cloudops.trailers"]([("grpc-status", "0")])

    def rpc_unread(self, environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", HEADERS)
        environ["cloudops.trailers"]([("grpc-status", "0")])
        return [frame(b"I have not looked")]

    def rpc_wait(self, environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", HEADERS)
        try:
            while not self._go.wait(0.01):
                yield b""
            yield frame(b"went on")
            environ["cloudops.trailers"]([("grpc-status", "0")])
        finally:
            self._note("Closed")

    def rpc_stuck(self, environ: Any, start: Any) -> Iterable[bytes]:
        self._go.wait()
        self._note("Closed")
        return []

    def rpc_go(self, environ: Any, start: Any) -> Iterable[bytes]:
        self._go.set()
        return self.rpc_unread(environ, start)

    def rpc_forever(self, environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", HEADERS)
        sent = 0
        try:
            while True:
                yield frame(b"x" * 100_000)
                sent += 100_000
        finally:
            self._note("Closed", str(sent))

    def rpc_fail(self, environ: Any, start: Any) -> Iterable[bytes]:
        environ["cloudops.trailers"]([("grpc-status", "0")])
        raise RuntimeError("a bug\nof the fake, 100 % sure")

    def rpc_twice(self, environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", HEADERS)
        for _ in range(2):
            environ["cloudops.trailers"]([("grpc-status", "0")])
        return []

    def rpc_half(self, environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", HEADERS)
        yield frame(b"half")
        raise RuntimeError("a bug of the fake")


def frame(message: bytes) -> bytes:
    return struct.pack(">?I", False, len(message)) + message


def messages(environ: Any) -> Iterator[bytes]:
    """Those of a request, as they come."""
    body = environ["wsgi.input"]
    while head := body.read(5):
        yield body.read(struct.unpack(">?I", head)[1])
