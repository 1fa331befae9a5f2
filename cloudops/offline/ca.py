"""The offline clouds' certificate authority: made for one server, trusted by nobody who was not told to."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from cloudops.errors import MissingDependency

if TYPE_CHECKING:
    import trustme


class Authority:
    """Issues a certificate for each host that is asked for.

    Args:
        folder: where its certificate and key lie; those that are there already are used on.

    Raises:
        MissingDependency: the extra ``offline`` is not installed.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._key = folder / "ca.key"
        #: The file that clients are told to trust.
        self.certificate = folder / "ca.pem"
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._authority = self._kept() or self._made()

    def context(self, host: str) -> ssl.SSLContext:
        """What a TLS server of the name ``host`` needs; made once for each."""
        with self._lock:
            found = self._contexts.get(host)
            if found is None:
                found = self._contexts[host] = self._issue(host)
            return found

    def _issue(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The first of these that the client offers: HTTP/2 is for those that speak nothing else, as gRPC.
        context.set_alpn_protocols(["http/1.1", "h2"])
        self._authority.issue_cert(host).configure_cert(context)
        return context

    def _kept(self) -> trustme.CA | None:
        library = _library()
        if not (self._key.exists() and self.certificate.exists()):
            return None
        return library.from_pem(self.certificate.read_bytes(), self._key.read_bytes())

    def _made(self) -> trustme.CA:
        made = _library()(organization_name="cloudops offline")
        self._key.touch(mode=0o600)
        self._key.write_bytes(made.private_key_pem.bytes())
        self.certificate.write_bytes(made.cert_pem.bytes())
        return made


def _library() -> type[trustme.CA]:
    try:
        from trustme import CA
    except ImportError as error:
        raise MissingDependency(
            f"the offline clouds need the package {error.name or 'trustme'}",
            hint="pip install 'cloudops-ml[offline]'",
        ) from error
    return CA
