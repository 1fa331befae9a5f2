"""The key with which an endpoint's router shows itself to the replicas, so that nobody gets past its token.

A replica listens on a port of its own, which every user of this machine can reach. It is told the key in its
environment and answers only requests that bring it.
"""

from __future__ import annotations

import contextlib
from secrets import token_urlsafe

import psutil

from .process import descendants, end_group
from .service_find import SHIM, find
from .service_paths import Paths

#: Where a replica finds the key.
VARIABLE = "CLOUDOPS_REQUEST_KEY"
#: Where a request brings it.
HEADER = "x-cloudops-key"


def choose(paths: Paths, life: str, *, grace: float) -> str:
    """The key for an endpoint that is being started: that of replicas that outlived its supervisor, else a new one.

    Replicas that cannot be asked for it are ended within ``grace`` seconds: nothing could be sent to them.
    """
    replicas = {one: _told(one.process.pid) for one in find(paths.root, [SHIM]) if one.life == life and one.labels}
    key = next(filter(None, replicas.values()), "")
    for one, told in replicas.items():
        if told != key or not key:
            end_group(one.process, grace=grace)
    return key or token_urlsafe(32)


def _told(shim: int) -> str:
    """The key in the environment of what runs under a shim, or ""."""
    for process in descendants(shim):
        with contextlib.suppress(psutil.Error, OSError):
            if key := process.environ().get(VARIABLE, ""):
                return str(key)
    return ""
