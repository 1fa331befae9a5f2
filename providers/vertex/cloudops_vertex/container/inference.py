"""The first process of a replica: it fetches the model, then serves it with cloudops.runtime, and tells how that ended.

``inference.json`` beside it says what is served:

================  ====================================================================================================
``runtime``       file name of the runtime's archive beside this file
``requirements``  whether ``requirements.txt`` is beside this file
``predictor``     file name in ``code/`` beside this file, or empty
``secret``        address of the secret in Secret Manager, or empty
``env``           variables that the model's description has no room for
================  ====================================================================================================

Standard library only; Python 3.9.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Optional

#: Begin the lines of a replica's log that say why a model cannot be served, and how a server ended by itself.
FAILED, ENDED = "[cloudops] error:", "[cloudops] the server ended:"

_HERE = Path(__file__).resolve().parent


def main() -> int:
    """Serve until told to end; returns the exit code."""
    with open(_HERE / "inference.json", encoding="utf-8") as file:
        given = json.load(file)
    sys.path[:0] = [str(_HERE), str(_HERE / given["runtime"])]
    os.environ["CLOUDOPS_CLOUD"] = "vertex"
    try:
        return Serving(given).run()
    finally:
        shutil.rmtree(_HERE, ignore_errors=True)


class Serving:
    """One life of a replica."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._signals: list[int] = []

    def run(self) -> int:
        """Fetch what is served, serve it, and tell how that ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        try:
            environ, secrets = self._prepared()
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            print(FAILED, reason, file=sys.stderr, flush=True)
            return 2
        code = self._serve(environ, secrets)
        if not self._signals:
            print(ENDED, "exit code {}".format(code), file=sys.stderr, flush=True)
        return code

    def _prepared(self) -> tuple[dict[str, str], dict[str, str]]:
        """The variables of the server, and the secrets among them; everything that it reads is there."""
        from cloudops_vertex.container.gcs import Google

        google, given = Google(), self._given
        bucket, _, key = os.environ["AIP_STORAGE_URI"][len("gs://") :].partition("/")
        google.download_all(bucket, "{}/model/".format(key.rstrip("/")), _HERE / "model")
        (_HERE / "model").mkdir(exist_ok=True)
        if given["requirements"]:
            install = importlib.import_module("cloudops.runtime.install").install
            install(str(_HERE / "requirements.txt"), os.environ, cwd=str(_HERE), contained=True)
        secrets = google.secret(given["secret"]) if given["secret"] else {}
        own = {"CLOUDOPS_MODEL_DIR": str(_HERE / "model")}
        if given["predictor"]:
            own["CLOUDOPS_PREDICTOR"] = str(_HERE / "code" / given["predictor"])
        return {**os.environ, **given["env"], **secrets, **own}, secrets

    def _serve(self, environ: dict[str, str], secrets: dict[str, str]) -> int:
        if self._signals:
            return 143
        masking = importlib.import_module("cloudops.runtime.masking")
        pipe = masking.Masked(masking.stdout(), secrets.values()) if secrets else None
        streams = {"stdout": pipe.writing, "stderr": pipe.writing} if pipe else {}
        code = _HERE / "code"
        self._child = child = subprocess.Popen(
            [sys.executable, str(_HERE / self._given["runtime"]), "serve"],
            env=environ,
            cwd=str(code if code.is_dir() else _HERE),
            **streams,
        )
        if self._signals:  # between the look above and the start
            child.terminate()
        try:
            ended = child.wait()
        finally:
            if pipe:
                pipe.close()
        return 128 - ended if ended < 0 else ended

    def _tell(self, number: int, _frame: Optional[FrameType]) -> None:
        """The replica is to end: the server answers what is open, and ends."""
        self._signals.append(number)
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)


if __name__ == "__main__":
    sys.exit(main())
