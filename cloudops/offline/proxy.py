"""The proxy: real host names in, emulators' answers out, and everybody else refused.

``CONNECT host:443`` and plain requests with an absolute address go to the emulator of the host; requests without a
host are for the control API. It listens on 127.0.0.1 alone, and asks for a password there: whoever may start a job in
an offline cloud runs what he likes as the user whose cloud it is, and other users of a machine share its loopback.
"""

from __future__ import annotations

import base64
import socketserver
import sys
import traceback
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from .connection import Connection

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from .ca import Authority
    from .clock import Clock
    from .egress import Egress
    from .emulators import Emulators
    from .faults import Faults


class Proxy(ThreadingHTTPServer):
    """The server.

    Args:
        port: 0 for a free one.
        password: what clients have to show, with the user ``cloudops``.
        authority: issues the certificates.
        emulators: who answers.
        egress: gets what is refused.
        faults: those of the connection happen here, the others are handed to the emulators.
        clock: what a timeout goes by.
        control: the control API.

    Raises:
        OSError: the port is in use.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(
        self,
        port: int,
        *,
        password: str,
        authority: Authority,
        emulators: Emulators,
        egress: Egress,
        faults: Faults,
        clock: Clock,
        control: WSGIApplication,
    ) -> None:
        self.password = password
        self.expected = b"Basic " + base64.b64encode(f"cloudops:{password}".encode())
        self.authority = authority
        self.emulators = emulators
        self.egress = egress
        self.faults = faults
        self.clock = clock
        self.control = control
        super().__init__(("127.0.0.1", port), Connection)

    def server_bind(self) -> None:
        """Bind, without looking up the machine's name as the base class does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def address(self) -> str:
        """What clients take for the proxy's address: with the password."""
        return f"http://cloudops:{self.password}@127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients come and go as they like; what else goes wrong is a bug of ours."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            traceback.print_exc()
