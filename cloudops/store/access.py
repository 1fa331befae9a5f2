"""How object stores and web servers are reached, for a process that is given nothing else of the caller's variables."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping

#: The variable that holds all of them, as a JSON object.
VARIABLE = "CLOUDOPS_STORES"
_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_")
_NAMES = frozenset(
    {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
)


def pack(environ: Mapping[str, str]) -> dict[str, str]:
    """Credentials, regions, endpoints, proxies and roots of ``environ``, in one variable."""
    kept = {key: value for key, value in environ.items() if key.startswith(_PREFIXES) or key.upper() in _NAMES}
    return {VARIABLE: json.dumps(kept)}


def unpack(environ: MutableMapping[str, str]) -> None:
    """Put what :func:`pack` has made into ``environ``, in the place of that variable; nothing where there is none."""
    environ.update(json.loads(environ.pop(VARIABLE, "{}")))
