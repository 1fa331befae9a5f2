"""A client's connection that speaks HTTP/2, as gRPC does: many requests at once, each answered by a thread of its own.

Requests go where those of HTTP/1.1 go (:mod:`cloudops.offline.choosing`). Two things are different for an application:
what it may say after the body, as gRPC does with its status, is given to ``environ["cloudops.trailers"]``; and a client
that gives a call up does so without ending the connection: the iterable is closed at its next piece, an empty one too,
with which an application that waits can ask.

One thread reads and waits for the socket; what is to be sent is sent by whoever has it, and waited for by nobody but
the one who has too much of it. One lock guards all state, so that each frame is whole and TLS has one user at a time.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from . import choosing, exchange
from .http2_answer import Http2Answer
from .http2_frames import Frames
from .http2_link import Link
from .http2_stream import MOST_BACKLOG, STREAM_WINDOW, Stream, StreamBody

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from wsgiref.types import WSGIEnvironment

    from hpack.struct import Header

    from .choosing import Chosen
    from .proxy import Proxy

#: Requests that a client may have open at once; RFC 9113 advises no fewer.
_MOST_STREAMS = 100
#: Threads for one connection; there are more than open requests where calls that were given up still work.
_MOST_THREADS = 4 * _MOST_STREAMS
#: Bytes that a client may send on all streams together before it hears that they have come. What an application has
#: not read yet is limited by its own stream's window, so that one that reads nothing keeps no other from reading.
_CONNECTION_WINDOW = 16 << 20
_DEFAULT_WINDOW = 65535


class Http2:
    """A connection.

    Args:
        proxy: finds who answers.
        connection: of the client, from its first byte of HTTP/2 on; it is made non-blocking, and not closed here.
        tunnel: scheme, host and port that the client has asked for.
    """

    def __init__(self, proxy: Proxy, connection: socket.socket, tunnel: tuple[str, str, int]) -> None:
        self._proxy = proxy
        self._connection = connection
        self._scheme, self._host, self._port = tunnel
        #: Guards all that is below, the streams, and the socket.
        self.lock = threading.Lock()
        self.link = Link(connection)
        self.h2 = Frames(H2Configuration(client_side=False, header_encoding=None))
        self.h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: _MOST_STREAMS,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: H2Connection.DEFAULT_MAX_HEADER_LIST_SIZE,
            },
        )
        self._streams: dict[int, Stream] = {}
        self._threads = 0
        self._received = 0  # bytes that the client has not heard of
        #: Whether somebody waits until the client has taken some of what was sent.
        self.crowded = False
        self._over = self._breaks = False

    def serve(self, received: bytes = b"") -> None:
        """Answer requests until the connection ends. ``received`` is what was read of it before."""
        try:
            with self.lock:
                self.h2.initiate_connection()
                self.h2.increment_flow_control_window(_CONNECTION_WINDOW - _DEFAULT_WINDOW)
                self.flush()
                self._receive(received)
            while not self._over:
                self.link.wait()
                self._attend()
        except ConnectionError:  # the client has gone
            pass
        finally:
            with self.lock:
                self._stop()
                self.link.close()
            if self._breaks:
                choosing.break_at_close(self._connection)

    def flush(self) -> None:
        """Send the frames that were made, as far as the client takes them now; with the lock."""
        if data := self.h2.data_to_send():
            self.link.write(data)

    def forget(self, stream: Stream) -> None:
        """Nothing more comes of ``stream``; with the lock."""
        self._streams.pop(stream.id, None)

    def reset(self, id: int, code: ErrorCodes) -> None:
        """Tell the client that nothing more comes of a stream; with the lock."""
        with contextlib.suppress(ProtocolError):  # it has ended already: events are seen after what follows them
            self.h2.reset_stream(id, code)

    def _attend(self) -> None:
        """Send what waits, and take in what has come."""
        with self.lock:
            if self.link.flush() < MOST_BACKLOG // 2 and self.crowded:
                self.crowded = False
                self._notify_all()
        while not self._over:
            with self.lock:  # let go after each piece: others have something to send
                data = self.link.read()
                if data is None:
                    return
                if data:
                    self._receive(data)
                else:
                    self._stop()

    def _receive(self, data: bytes) -> None:
        try:
            for event in self.h2.receive_data(data):
                self._happen(event)
        except ProtocolError:  # h2 has made the frame that tells the client why this is the end
            self._stop()
        self.flush()

    def _happen(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._open(event.stream_id, event.headers)
            case DataReceived():
                self._take(event)
            case StreamEnded() if stream := self._streams.get(event.stream_id):
                stream.end_of_body()
            case StreamReset() if stream := self._streams.pop(event.stream_id, None):
                stream.give_up()
            case WindowUpdated() if stream := self._streams.get(event.stream_id):
                stream.changed.notify_all()
            case WindowUpdated() | RemoteSettingsChanged():
                self._notify_all()
            case ConnectionTerminated() if event.error_code != ErrorCodes.NO_ERROR:
                self._stop()

    def _open(self, id: int, headers: Iterable[Header]) -> None:
        if self._threads >= _MOST_THREADS:
            self.reset(id, ErrorCodes.REFUSED_STREAM)
            return
        stream = self._streams[id] = Stream(self, id)
        self._threads += 1
        threading.Thread(target=self._work, args=(stream, headers), daemon=True).start()

    def _take(self, event: DataReceived) -> None:
        length = event.flow_controlled_length
        self._received += length
        if self._received >= _CONNECTION_WINDOW // 4:
            self.h2.increment_flow_control_window(self._received)
            self._received = 0
        if stream := self._streams.get(event.stream_id):
            stream.feed(event.data, padding=length - len(event.data))

    def _notify_all(self) -> None:
        for stream in self._streams.values():
            stream.changed.notify_all()

    def _stop(self) -> None:
        """Take in nothing more; what is being answered has nobody who waits for it."""
        self._over = True
        for stream in self._streams.values():
            stream.give_up()
        self._streams.clear()

    def _work(self, stream: Stream, headers: Iterable[Header]) -> None:
        """Answer a request; a thread of its own."""
        whole = False
        try:
            whole = self._answer(stream, headers)
        except ConnectionError:
            pass
        except Exception:
            traceback.print_exc()
        finally:
            with self.lock, contextlib.suppress(ConnectionError):
                self._threads -= 1
                if not self._over:
                    stream.answered(whole=whole)
                    self.flush()

    def _answer(self, stream: Stream, headers: Iterable[Header]) -> bool:
        """Whether the client got a whole answer."""
        said = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        pseudo = {name: value for name, value in said if name.startswith(":")}
        regular = [(name, value) for name, value in said if not name.startswith(":")]
        method = pseudo[":method"]
        environ = exchange.environment(
            method,
            pseudo[":path"],
            regular,
            scheme=self._scheme,
            authority=choosing.authority(self._scheme, self._host, self._port),
            protocol="HTTP/2",
        )
        answer = Http2Answer(stream, method)
        waits = environ.get("HTTP_EXPECT", "").lower().strip() == "100-continue"
        exchange.attach_body(environ, StreamBody(stream, stream.go_on if waits else None))
        environ["cloudops.trailers"] = answer.trailers
        chosen = choosing.choose(self._proxy, self._host, self._port, environ)
        if chosen.breaks is None:
            return exchange.attempt(chosen.application, environ, answer, chosen.name)
        self._break(stream, chosen, environ)
        return False

    def _break(self, stream: Stream, chosen: Chosen, environ: WSGIEnvironment) -> None:
        """Do what a rule of the connection says; all of its requests go with it, as with the machine that fails."""
        try:
            choosing.suffer(self._proxy, chosen, environ, lambda: stream.gone)
        finally:
            with self.lock:
                if not stream.gone:  # else nobody waits for what this machine does
                    self._breaks = True
                    self._stop()
                    self.link.wake()
