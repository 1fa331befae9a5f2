"""The process of an endpoint: starts what is wanted, waits until it answers, and only then sends requests to it.

``python -m cloudops_sandbox.door RUNTIME``, in the endpoint's folder. The URL stays the same for all versions.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from email.message import Message
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from . import files

#: An answer: its status, its body and its headers.
Given = tuple[int, bytes, Message]


class Replica:
    """A process that serves one version: the runtime's server."""

    def __init__(self, wanted: dict[str, Any], runtime: str) -> None:
        self.wanted = wanted
        self.last_line = ""
        self._ready = Path("versions", wanted["version"], "ready.json").absolute()
        self._ready.unlink(missing_ok=True)
        environment = {**wanted["environment"], "CLOUDOPS_READY_FILE": str(self._ready)}
        self.process = subprocess.Popen(
            [sys.executable, runtime, "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            close_fds=False,  # it holds the endpoint's lock too: as long as it lives, something is to be killed
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, method: str, path: str, body: bytes, kind: str) -> Given:
        """Send it a request."""
        address = files.read(self._ready)
        if address is None:
            raise ConnectionError("it does not listen yet")
        connection = HTTPConnection("127.0.0.1", address["port"], timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def answers(self) -> bool:
        """Whether it can predict by now."""
        try:
            return self.ask("GET", "/ping", b"", "")[0] == 200
        except (OSError, HTTPException):
            return False

    def wait(self) -> str:
        """Wait until it answers; why it does not, or nothing."""
        deadline = time.monotonic() + self.wanted["patience"]
        while not self.answers():
            if self.process.poll() is not None:
                self._reader.join(1)
                return self.last_line or f"it ended with code {self.process.returncode}"
            if time.monotonic() > deadline:
                self.process.kill()
                return f"it did not answer within {self.wanted['patience']:g} s"
            time.sleep(0.05)
        return ""

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            self.last_line = line.decode(errors="replace").strip() or self.last_line


class Door(ThreadingHTTPServer):
    """Lets requests in to the live version, and puts another one in its place."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, runtime: str) -> None:
        super().__init__(("127.0.0.1", 0), Visitor)
        self.runtime = runtime
        self.live: Replica | None = None
        self.seen = self.refused = 0

    def run(self) -> None:
        """Do what is wanted, until there is nothing to serve or the process is killed."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        while True:
            wanted = files.read(Path("wanted.json"))
            if wanted is None:
                return
            if wanted["generation"] > self.seen:
                self._take_in(wanted)
            elif self.live is None:
                return
            elif self.live.process.poll() is not None:
                self._take_in(self.live.wanted | {"generation": self.seen})  # it crashed
            time.sleep(0.05)

    def _take_in(self, wanted: dict[str, Any]) -> None:
        """Start a version beside the live one; it takes over once it answers, and the old one ends its requests."""
        self._tell("updating" if self.live else "starting", "")
        replica = Replica(wanted, self.runtime)
        reason = replica.wait()
        self.seen = wanted["generation"]
        if not reason:
            before, self.live = self.live, replica
            if before is not None:
                before.process.terminate()
            self._tell("ready", "")
        else:
            self.refused = self.seen
            rejected = f"version {wanted['version']} was not taken in: {reason}"
            self._tell("ready" if self.live else "failed", rejected)

    def _tell(self, phase: str, reason: str) -> None:
        live = self.live.wanted["version"] if self.live else None
        state = {"phase": phase, "reason": reason, "live": live, "generation": self.seen, "refused": self.refused}
        files.write(Path("state.json"), {**state, "url": f"http://127.0.0.1:{self.server_port}"})


class Visitor(BaseHTTPRequestHandler):
    """One request: passed on, and counted in ``requests.jsonl``."""

    protocol_version = "HTTP/1.1"
    server: Door

    def do_POST(self) -> None:
        """Pass a request on."""
        begun = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        code, answer, headers = self._ask(body)
        self.send_response(code)
        for name in ("Content-Type", "x-cloudops-version"):
            self.send_header(name, headers.get(name, ""))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        version = headers.get("x-cloudops-version", "")
        count = {"time": begun, "seconds": time.time() - begun, "code": code, "version": version}
        with open("requests.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(count) + "\n")

    do_GET = do_POST

    def _ask(self, body: bytes) -> Given:
        """The answer of the live version; of the next one where that goes away at this moment."""
        for _ in range(2):
            live = self.server.live
            try:
                if live is not None:
                    return live.ask(self.command, self.path, body, self.headers.get("Content-Type", ""))
            except (OSError, HTTPException):
                time.sleep(0.2)
        return 503, b'{"error": "no version answers"}', Message()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are counted, not printed."""


def main(runtime: str) -> None:
    """Run a door; however it ends, short of being killed, its replica ends with it."""
    door = Door(runtime)
    try:
        door.run()
    finally:
        if door.live is not None:
            door.live.process.terminate()


if __name__ == "__main__":
    main(sys.argv[1])
