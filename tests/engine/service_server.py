"""A replica for the tests: the contract of `VersionSpec` in a small standard-library server, misbehaving on request."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SETTINGS = os.environ
VERSION = SETTINGS["CLOUDOPS_MODEL_VERSION"]
HOARD = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 1  # an idle connection must not hold up the end

    def do_GET(self):
        if self.path == "/ping":
            self.answer(503 if "NEVER_READY" in SETTINGS or os.path.exists(SETTINGS.get("SICK", "")) else 200, {})
        elif self.path == "/stream":
            self.stream(10)
        elif self.path == "/cut":
            self.cut()
        else:
            self.answer(200, self.description(b""))

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "1234")
        self.end_headers()

    def do_POST(self):
        if self.path == "/early":
            self.close_connection = True
            return self.answer(413, {"error": "too large"})
        body = self.body()
        if self.path == "/spawn":
            return self.answer(200, {"pid": spawn(body.decode())})
        if self.path == "/crash-once" and os.path.exists(SETTINGS["ONCE"]):
            os.unlink(SETTINGS["ONCE"])
            os._exit(9)
        if self.path == "/crash":
            os._exit(9)
        if self.path == "/grow":
            HOARD.append(b"x" * (200 << 20))
        if self.path == "/sleep":
            time.sleep(float(body))
        if self.path in ("/large", "/crash-once"):
            return self.answer(200, {"size": len(body)})
        time.sleep(float(SETTINGS.get("SLEEP", "0")))
        return self.answer(500 if "FAIL" in SETTINGS else 200, self.description(body))

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def description(self, body):
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode("latin-1"),
            "environment": dict(os.environ),
        }

    def answer(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if "X-Cloudops-Key" in self.headers:
            self.send_header("X-Cloudops-Key", self.headers["X-Cloudops-Key"])
        self.send_header("X-Twice", "1")
        self.send_header("X-Twice", "2")
        self.end_headers()
        self.wfile.write(data)

    def stream(self, count):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(count):
            self.wfile.write(b"7\r\npart %d\n\r\n" % number)
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def cut(self):
        self.send_response(200)
        self.send_header("Content-Length", str(4 << 20))
        self.end_headers()
        self.wfile.write(b"x" * (2 << 20))
        self.close_connection = True

    def log_message(self, *_):
        pass


def spawn(seconds):
    """The process id of an orphan that has a session of its own and does not heed SIGTERM."""
    script = f"trap '' TERM; echo $$; exec sleep {seconds}"
    with subprocess.Popen(["setsid", "-f", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        return int(process.stdout.readline())


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128


def announce(port):
    path = SETTINGS["CLOUDOPS_READY_FILE"]
    with open(path + ".part", "w") as file:
        json.dump({"port": port, "pid": os.getpid()}, file)
    os.replace(path + ".part", path)


def main():
    print(f"serving ü {SETTINGS.get('SECRET', '')}", flush=True)
    if "EXIT" in SETTINGS or os.path.exists(SETTINGS.get("EXIT_FILE", "")):
        raise RuntimeError("the model file is damaged")
    time.sleep(float(SETTINGS.get("START_DELAY", "0")))
    server = Server((SETTINGS["CLOUDOPS_HOST"], int(SETTINGS["CLOUDOPS_PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    announce(server.server_port)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    print("drained", flush=True)


if __name__ == "__main__":
    sys.exit(main())
