"""The router's line to the supervisor: routes come in, reports go out, and a supervisor that died is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

from .service_control import connect, encode
from .service_launch import supervisor_command
from .service_paths import Paths
from .service_secrets import Secrets

_REPORT_PERIOD = 0.25
_LINE_LIMIT = 1 << 24
_SLOWEST_RETRY = 5.0


class SupervisorLink:
    """Runs until told to stop. ``on_message`` gets each message; ``report`` gives what is to be told."""

    def __init__(
        self,
        paths: Paths,
        life: str,
        inherited: tuple[int, int],
        secrets: Secrets,
        on_message: Callable[[dict[str, Any]], None],
        report: Callable[[], dict[str, Any]],
    ) -> None:
        self._paths, self._life, self._inherited, self._secrets = paths, life, inherited, secrets
        self._on_message, self._report = on_message, report
        self._child: subprocess.Popen[bytes] | None = None

    async def run(self) -> None:
        """Keep a supervisor and stay connected to it; to be cancelled."""
        pause = 0.0
        while True:
            if self._supervised():
                pause = 0.0
                with contextlib.suppress(OSError, ValueError):
                    await self._talk()
            await asyncio.sleep(pause)
            if not self._supervised():
                pause = min(max(2 * pause, 0.1), _SLOWEST_RETRY)
                with contextlib.suppress(OSError, ValueError):
                    self._revive()

    def _supervised(self) -> bool:
        return self._paths.supervisor_lock().held_by_someone()

    async def _talk(self) -> None:
        """Connect, and listen and report until the supervisor is gone."""
        reader, writer = await asyncio.open_unix_connection(sock=connect(self._paths), limit=_LINE_LIMIT)
        reports = asyncio.create_task(self._reports(writer))
        try:
            while line := await reader.readline():
                self._on_message(json.loads(line))
                writer.write(encode(self._report()))
        finally:
            reports.cancel()
            writer.close()

    async def _reports(self, writer: asyncio.StreamWriter) -> None:
        writer.write(encode({"router": os.getpid()}))
        # A connection that no supervisor has taken yet does not end with the supervisor, hence the look at its lock.
        while self._supervised():
            writer.write(encode(self._report()))
            await writer.drain()
            await asyncio.sleep(_REPORT_PERIOD)
        writer.close()

    def _revive(self) -> None:
        """Start a supervisor, unless the last one that we started has not come as far as its lock."""
        if self._child is not None and self._child.poll() is None:
            return
        with self._paths.supervisor_log.open("ab") as sink:
            self._child = subprocess.Popen(
                supervisor_command(self._paths, self._life, *self._inherited, -1),
                cwd=self._paths.root,
                env={**os.environ, **self._secrets.variable()},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                pass_fds=self._inherited,
            )
