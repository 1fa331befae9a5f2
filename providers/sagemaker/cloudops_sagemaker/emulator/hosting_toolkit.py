"""The program inside a prebuilt framework image: serves a model through the user's hooks, as AWS's toolkits do.

Standard library only and Python 3.9: it is run by the interpreter that stands for the image, not by the emulator's.
``python hosting_toolkit.py`` reads the toolkits' variables, imports the user's script, loads the model and then
answers ``GET /ping`` and ``POST /invocations``.

===================================  ================================================================================
SAGEMAKER_BASE_DIR                   what ``/opt/ml`` is, ``/opt/ml`` by default
SAGEMAKER_PROGRAM                    the script, ``inference.py`` by default
SAGEMAKER_SUBMIT_DIRECTORY           where it lies, ``<base>/model/code`` by default
SAGEMAKER_BIND_TO_PORT               8080 by default
SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT what answers are where the client accepts anything, ``application/json`` by default
SAGEMAKER_MODEL_SERVER_WORKERS       requests at once, the number of cores by default; threads here, not processes
===================================  ================================================================================
"""

from __future__ import annotations

import http.client
import http.server
import importlib
import inspect
import os
import signal
import socketserver
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

# Beside this file: it is never imported as part of a package.
import hosting_formats as formats  # type: ignore[import-not-found]
import hosting_requirements as requirements  # type: ignore[import-not-found]

_HOOKS = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class Settings:
    """What the environment says."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.base = Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
        self.model_dir = self.base / "model"
        self.code_dir = Path(environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or self.model_dir / "code")
        self.program = environ.get("SAGEMAKER_PROGRAM") or "inference.py"
        self.port = int(environ.get("SAGEMAKER_BIND_TO_PORT") or "8080")
        self.accept = environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or formats.JSON
        self.workers = int(environ.get("SAGEMAKER_MODEL_SERVER_WORKERS") or os.cpu_count() or 1)


class Context:
    """What a hook with one parameter more gets: the request's headers, and what the answer is to have."""

    def __init__(self, settings: Settings, headers: Mapping[str, str]) -> None:
        self.system_properties = {"model_dir": str(settings.model_dir), "gpu_id": None, "server_name": "cloudops"}
        self.manifest: dict[str, Any] = {}
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self._headers = {key.lower(): value for key, value in headers.items()}

    def get_request_header(self, index: int, key: str) -> str | None:
        """The request's header ``key``."""
        return self._headers.get(key.lower())

    def get_all_request_header(self, index: int) -> Mapping[str, str]:
        """All of the request's headers."""
        return dict(self._headers)

    def set_response_status(self, code: int = 200, phrase: str = "", index: int = 0) -> None:
        """Answer with ``code``."""
        self.status = code

    def set_response_content_type(self, index: int, value: str) -> None:
        """Answer with that content type."""
        self.headers["Content-Type"] = value

    def set_response_header(self, index: int, key: str, value: str) -> None:
        """Answer with that header."""
        self.headers[key] = value


class Answer:
    """What goes back; ``body`` an iterator of pieces where the hook gave one."""

    def __init__(self, status: int, body: bytes | Iterator[Any], headers: Mapping[str, str]) -> None:
        self.status, self.body, self.headers = status, body, headers


class Service:
    """The user's hooks, with the toolkit's own in place of those that are missing.

    Raises:
        ValueError: ``transform_fn`` stands beside hooks that it replaces.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._room = threading.Semaphore(max(settings.workers, 1))
        module = _user_module(settings)
        given = {name: getattr(module, name, None) for name in _HOOKS}
        if given["transform_fn"] and (given["input_fn"] or given["predict_fn"] or given["output_fn"]):
            raise ValueError(
                "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or output_fn "
                "implementation"
            )
        self._model_fn = given["model_fn"] or formats.default_model
        self._input_fn = given["input_fn"] or formats.decode
        self._predict_fn = given["predict_fn"] or formats.default_predict
        self._output_fn = given["output_fn"] or formats.default_output
        self._transform_fn = given["transform_fn"] or self._transform
        self._model: Any = None

    def load(self) -> None:
        """Load the model."""
        self._model = _call(self._model_fn, Context(self._settings, {}), str(self._settings.model_dir))

    def answer(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Answer one request; an error of the hooks becomes the status that the toolkits give it."""
        context = Context(self._settings, headers)
        try:
            with self._room:
                return self._answer(body, headers, context)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return _failure(error)

    def _answer(self, body: bytes, headers: Mapping[str, str], context: Context) -> Answer:
        content_type = headers.get("Content-Type")
        accept = headers.get("Accept") or ""
        if not accept or accept == "*/*":
            accept = self._settings.accept
        data: str | bytes = body
        if (content_type or "").split(";")[0].strip() in formats.TEXT:
            data = body.decode("utf-8")
        result = _call(self._transform_fn, context, self._model, data, content_type, accept)
        if isinstance(result, tuple):
            result, accept = result[0], result[1]
        # What a hook set through its context wins.
        return Answer(context.status or 200, formats.as_body(result), {"Content-Type": accept, **context.headers})

    def _transform(self, model: Any, data: Any, content_type: str, accept: str, context: Context) -> Any:
        decoded = _call(self._input_fn, context, data, content_type)
        prediction = _call(self._predict_fn, context, decoded, model)
        return _call(self._output_fn, context, prediction, accept)


def _user_module(settings: Settings) -> ModuleType | None:
    """The user's script, or None where there is none (the toolkit's own hooks are used then)."""
    script = settings.code_dir / settings.program
    if script.suffix != ".py":
        script = script.with_name(f"{script.name}.py")
    if not script.is_file():
        if "SAGEMAKER_PROGRAM" in os.environ:
            raise FileNotFoundError(f"SAGEMAKER_PROGRAM {settings.program!r} is not in {settings.code_dir}")
        return None
    for folder in (str(settings.code_dir), str(script.parent)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return importlib.import_module(script.stem)


def _call(function: Callable[..., Any], context: Context, *arguments: Any) -> Any:
    """Call a hook, with the context where it has room for one more."""
    count = len(inspect.signature(function).parameters)
    if count == len(arguments):
        return function(*arguments)
    if count == len(arguments) + 1:
        return function(*arguments, context)
    raise TypeError(f"{function.__name__} takes {count} arguments but {len(arguments)} were given.")


def _failure(error: Exception) -> Answer:
    """The toolkits' errors have a status of their own, and so have werkzeug's; all others are a 500."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    message = getattr(error, "message", None) or getattr(error, "description", None) or str(error)
    trace = traceback.format_exc()
    if not isinstance(status, int) or not 400 <= status <= 599:
        status = 500
    return Answer(status, f"{message}\n{trace}".encode(), {"Content-Type": "text/plain"})


class Handler(http.server.BaseHTTPRequestHandler):
    """HTTP/1.1 with connections that stay open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # status, headers and a small body leave in one packet
    service: Service | None = None

    def do_GET(self) -> None:
        """``/ping``: 200 once the model is loaded."""
        if self.path.split("?")[0] != "/ping":
            self._send(Answer(404, b"", {}))
        else:
            self._send(Answer(200 if self.service else 503, b"", {"Content-Type": formats.JSON}))

    def do_POST(self) -> None:
        """``/invocations``."""
        body = self._body()
        if self.path.split("?")[0] != "/invocations":
            self._send(Answer(404, b"", {}))
        elif self.service is None:
            self._send(Answer(503, b"the model is not loaded yet", {}))
        else:
            self._send(self.service.answer(body, self.headers))  # type: ignore[arg-type]

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            self.send_header(key, str(value).replace("\r", " ").replace("\n", " "))
        attributes = self.headers.get(_ATTRIBUTES)
        if attributes and _ATTRIBUTES not in answer.headers:
            self.send_header(_ATTRIBUTES, attributes)
        if isinstance(answer.body, bytes):
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
        else:
            self._stream(answer.body)

    def _stream(self, pieces: Iterator[Any]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            for piece in pieces:
                data = formats.as_bytes(piece)
                if data:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                    self.wfile.flush()
        except Exception:  # too late for a status: an answer without its end says that it broke off
            traceback.print_exc(file=sys.stderr)
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log a line as the toolkits' web servers do, without health checks."""
        if not self.path.startswith("/ping"):
            sys.stdout.write(f"{self.address_string()} - {format % arguments}\n")
            sys.stdout.flush()


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 1024


def main() -> int:
    """Serve until SIGTERM; returns the exit code."""
    settings = Settings(os.environ)
    server = Server(("127.0.0.1", settings.port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    threading.Thread(target=_load, args=(settings,), daemon=True).start()
    server.serve_forever(poll_interval=0.05)
    return 0


def _load(settings: Settings) -> None:
    started = time.monotonic()
    try:
        requirements.install(settings.code_dir)
        service = Service(settings)
        service.load()
    except BaseException:  # SystemExit of a script too; a worker without a model is of no use
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)
    Handler.service = service
    sys.stdout.write(f"Model loaded in {time.monotonic() - started:.1f} s, listening on port {settings.port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
