"""The frames of an HTTP/2 connection: ``h2``, which goes on where a client says good-bye."""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, ConnectionState, H2Connection, H2ConnectionStateMachine
from h2.events import Event


class _States(H2ConnectionStateMachine):
    def process_input(self, input_: ConnectionInputs) -> list[Event]:
        if input_ is ConnectionInputs.RECV_GOAWAY and self.state is ConnectionState.SERVER_OPEN:
            return []
        return super().process_input(input_)


class Frames(H2Connection):
    """A server's side of a connection.

    After a client's GOAWAY, its open streams go on to their ends (RFC 9113, section 6.8); h2 would refuse to send on
    them (its issue 1181).
    """

    def __init__(self, config: H2Configuration) -> None:
        super().__init__(config)
        self.state_machine = _States()

    def clear_outbound_data_buffer(self) -> None:
        """Keep what is to be sent: it is called at a GOAWAY alone."""
