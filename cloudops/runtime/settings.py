"""The settings of a serving process, all from its environment.

==============================  ====================================================================================
``CLOUDOPS_MODEL_DIR``          folder (or file) of the model; else ``AIP_STORAGE_URI`` when it is a path,
                                ``AZUREML_MODEL_DIR``, ``/opt/ml/model``
``CLOUDOPS_PREDICTOR``          a Python file with ``load`` and ``predict``; a relative path is looked for in the
                                working directory, then in the model's folder. Without it the model's file decides
``CLOUDOPS_HOST``               address to listen on; ``127.0.0.1`` where ``CLOUDOPS_CLOUD`` is ``local`` or unset,
                                else ``0.0.0.0``
``CLOUDOPS_PORT``               port; else ``AIP_HTTP_PORT``, else 8080; 0 takes any free one
``CLOUDOPS_READY_FILE``         written, ``{"port": ..., "pid": ...}``, once the server listens
``CLOUDOPS_MODEL_NAME``         name in Open Inference Protocol routes and metrics; default ``model``
``CLOUDOPS_MODEL_VERSION``      version in the ``x-cloudops-version`` header of every response, in captures and
                                metrics; default ``1``
``CLOUDOPS_MAX_PAYLOAD``        largest request body in bytes; default 26214400 (25 MiB)
``CLOUDOPS_REQUEST_KEY``        a secret that each request but health checks must have in its ``x-cloudops-key``
                                header, else 401; nobody needs one without it
``CLOUDOPS_CAPTURE_DIR``        folder for captured requests; none is captured without it
``CLOUDOPS_CAPTURE_SAMPLE``     share of the requests that is captured, 0 to 1; default 1
``CLOUDOPS_CAPTURE_LIMIT``      bytes that captured requests may take in that folder; the oldest files go first;
                                default 1073741824 (1 GiB)
``CLOUDOPS_SHUTDOWN_GRACE``     seconds that SIGTERM leaves to requests in flight; default 25
``CLOUDOPS_SERVER``             ``auto`` (uvicorn where it is installed) or ``std`` (the standard library's)
``CLOUDOPS_THREADS``            predictions at once; default twice the CPUs, at least 8. Set 1 for a model that
                                must not be called from two threads at once
``AIP_HEALTH_ROUTE``,           Vertex AI's routes; default ``/v1/endpoints/<id>/deployedModels/<id>`` [``:predict``]
``AIP_PREDICT_ROUTE``           with ``AIP_ENDPOINT_ID`` and ``AIP_DEPLOYED_MODEL_ID``, or any ids without them
==============================  ====================================================================================
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from .errors import Problem

_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Settings:
    """See the module's table; ``max_payload`` and ``capture_limit`` in bytes, ``shutdown_grace`` in seconds."""

    model_dir: Path
    predictor: Optional[Path]
    host: str
    port: int
    ready_file: Optional[Path]
    name: str
    version: str
    max_payload: int
    request_key: Optional[str] = field(repr=False)
    capture_dir: Optional[Path]
    capture_sample: float
    capture_limit: int
    shutdown_grace: float
    server: str
    threads: int
    health_route: str
    predict_route: str


def read(environ: Mapping[str, str]) -> Settings:
    """The settings in ``environ``.

    Raises:
        Problem: a value is not what the table says, or there is no such predictor file.
    """
    model_dir = _model_dir(environ)
    route = "/v1/endpoints/{}/deployedModels/{}".format(
        environ.get("AIP_ENDPOINT_ID") or "*", environ.get("AIP_DEPLOYED_MODEL_ID") or "*"
    )
    port_name = "CLOUDOPS_PORT" if environ.get("CLOUDOPS_PORT") else "AIP_HTTP_PORT"
    return Settings(
        model_dir=model_dir,
        predictor=_predictor(environ.get("CLOUDOPS_PREDICTOR"), model_dir),
        host=environ.get("CLOUDOPS_HOST") or _host(environ),
        port=int(_number(environ, port_name, 8080, highest=_HIGHEST_PORT, whole=True)),
        ready_file=_path(environ, "CLOUDOPS_READY_FILE"),
        name=environ.get("CLOUDOPS_MODEL_NAME") or "model",
        version=_version(environ.get("CLOUDOPS_MODEL_VERSION") or "1"),
        max_payload=int(_number(environ, "CLOUDOPS_MAX_PAYLOAD", 25 * 2**20, lowest=1, whole=True)),
        request_key=_key(environ.get("CLOUDOPS_REQUEST_KEY")),
        capture_dir=_path(environ, "CLOUDOPS_CAPTURE_DIR"),
        capture_sample=_number(environ, "CLOUDOPS_CAPTURE_SAMPLE", 1.0, highest=1.0),
        capture_limit=int(_number(environ, "CLOUDOPS_CAPTURE_LIMIT", 2**30, lowest=1, whole=True)),
        shutdown_grace=_number(environ, "CLOUDOPS_SHUTDOWN_GRACE", 25.0),
        server=_server(environ.get("CLOUDOPS_SERVER") or "auto"),
        threads=int(_number(environ, "CLOUDOPS_THREADS", max(8, 2 * (os.cpu_count() or 1)), lowest=1, whole=True)),
        health_route=environ.get("AIP_HEALTH_ROUTE") or route,
        predict_route=environ.get("AIP_PREDICT_ROUTE") or f"{route}:predict",
    )


def _model_dir(environ: Mapping[str, str]) -> Path:
    storage = environ.get("AIP_STORAGE_URI", "")
    candidates = (
        environ.get("CLOUDOPS_MODEL_DIR"),
        storage if "://" not in storage else None,
        environ.get("AZUREML_MODEL_DIR"),
    )
    return Path(next(filter(None, candidates), "/opt/ml/model")).absolute()


def _predictor(given: str | None, model_dir: Path) -> Path | None:
    if not given:
        return None
    for path in (Path(given).absolute(), model_dir / given):
        if path.is_file():
            return path
    raise Problem(f"CLOUDOPS_PREDICTOR is {given}, and there is no such file here or in {model_dir}")


def _host(environ: Mapping[str, str]) -> str:
    return "127.0.0.1" if environ.get("CLOUDOPS_CLOUD") in (None, "", "local") else "0.0.0.0"


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]).absolute() if environ.get(name) else None


def _version(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise Problem(f"CLOUDOPS_MODEL_VERSION is {text!r}; expected printable ASCII, since it goes into a header")
    return text


def _key(text: str | None) -> str | None:
    if text and not (text.isascii() and text.isprintable() and text == text.strip()):
        raise Problem("CLOUDOPS_REQUEST_KEY must be printable ASCII without blanks at its ends, to go into a header")
    return text or None


def _server(text: str) -> str:
    if text not in ("auto", "std"):
        raise Problem(f"CLOUDOPS_SERVER is {text!r}; expected auto or std")
    return text


def _number(
    environ: Mapping[str, str],
    name: str,
    default: float,
    *,
    lowest: float = 0,
    highest: float = math.inf,
    whole: bool = False,
) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(int(text)) if whole else float(text)
    except ValueError:
        value = math.nan
    if not (lowest <= value <= highest and math.isfinite(value)):
        kind = "a whole number" if whole else "a number"
        limit = f" from {lowest:g} to {highest:g}" if math.isfinite(highest) else f" of at least {lowest:g}"
        raise Problem(f"{name} is {text!r}; expected {kind}{limit}")
    return value
