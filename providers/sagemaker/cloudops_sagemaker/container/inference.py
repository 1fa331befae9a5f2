"""The hooks by which SageMaker's prebuilt images serve a model, over cloudops.runtime: the same answers as elsewhere.

It lies in ``/opt/ml/model/code`` beside ``_cloudops/``, which has the runtime and the predictor. Standard library only.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
import uuid
from pathlib import Path
from typing import Any, Callable

_ADDED = "_cloudops"
#: Begins the line that says why a model cannot be served; whoever asks for the reason of a failure looks for it.
FAILED = "cloudops could not load the model:"
_NAMES = {"inference.py", "requirements.txt", _ADDED, "__pycache__"}


def _ours() -> Path:
    """The folder that cloudops added: some toolkits move or install this file before they import it."""
    here = Path(__file__).resolve().parent
    given = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    for folder in (here, Path(given), Path("/opt/ml/code"), Path("/opt/ml/model/code")):
        if any((folder / _ADDED).glob("cloudops_runtime-*.pyz")):
            return folder / _ADDED
    raise RuntimeError("{} is not beside {}".format(_ADDED, __file__))


_OURS = _ours()
for _path in (str(_OURS), str(next(_OURS.glob("cloudops_runtime-*.pyz")))):
    if _path not in sys.path:
        sys.path.insert(0, _path)


def model_fn(model_dir: str) -> Any:
    """Load the model through the predictor, or by the kind of its file; what fails is told in one line of the log."""

    from cloudops.runtime import predictor
    from cloudops.runtime.capture import Capture
    from cloudops.runtime.errors import Problem, shown
    from cloudops.runtime.inference import Inference

    os.environ.setdefault("CLOUDOPS_CLOUD", "sagemaker")
    redirected = None
    try:
        secrets = importlib.import_module("cloudops_secret").bring()
        redirected = importlib.import_module("cloudops.runtime.masking").Redirected(secrets.values())
        name = os.environ.get("CLOUDOPS_PREDICTOR")
        os.environ["CLOUDOPS_MODEL_DIR"] = folder = _without_ours(model_dir)
        inference = Inference(Capture(None, 0.0, os.environ.get("CLOUDOPS_MODEL_VERSION", "")))
        inference.model = predictor.load(_OURS / "code" / name if name else None, Path(folder))
        return inference
    except BaseException as error:
        if not isinstance(error, Problem):
            traceback.print_exc(file=sys.stderr)
        reason = str(error) if isinstance(error, Problem) else shown(error)
        print("{} {}".format(FAILED, " ".join(reason.split())), file=sys.stderr)
        sys.stderr.flush()
        if redirected:
            redirected.settle()  # this process ends, and must not take the reason with it
        raise


def input_fn(body: Any, content_type: Any) -> Any:
    """Rows and parameters."""
    from cloudops.runtime import formats

    data = body.encode("utf-8") if isinstance(body, str) else bytes(body or b"")
    return _told(lambda: formats.read(data, content_type or ""))


def predict_fn(batch: Any, model: Any) -> Any:
    """One prediction for each row."""
    from cloudops.runtime.messages import Request

    request = Request("POST", "/invocations", id=str(uuid.uuid4()))
    return _told(lambda: model.predict(request, batch.rows, batch.parameters))


def output_fn(predictions: Any, accept: Any) -> Any:
    """The predictions in the format that the client accepts."""
    from cloudops.runtime import formats

    def write() -> tuple[bytes, str]:
        answer = formats.answer_format(accept or "")
        return answer.write(predictions), answer.kind

    return _told(write)


def _told(work: Callable[[], Any]) -> Any:
    """What ``work`` returns; an error as one that the image's toolkit answers with the status and the reason."""
    from cloudops.runtime.errors import BadRequest, HttpError

    try:
        return work()
    except BadRequest as error:
        raise _failure(400, str(error)) from error
    except HttpError as error:
        raise _failure(error.status, str(error)) from error


class _Told(RuntimeError):
    """What a server that looks at exceptions' attributes answers with."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status_code = status
        self.message = reason


def _failure(status: int, reason: str) -> Exception:
    try:
        errors: Any = importlib.import_module("sagemaker_inference.errors")
    except ImportError:
        return _http_failure(status, reason)
    failure: Exception = errors.BaseInferenceToolkitError(status, reason, " ".join(reason.split())[:200])
    return failure


def _http_failure(status: int, reason: str) -> Exception:
    try:
        from werkzeug.exceptions import HTTPException
        from werkzeug.wrappers import Response
    except ImportError:
        return _Told(status, reason)
    error = HTTPException(description=reason, response=Response(reason, status=status, mimetype="text/plain"))
    error.code = status
    return error


def _without_ours(model_dir: str) -> str:
    """A folder with the model's files and without what cloudops added to them."""
    place = Path(tempfile.mkdtemp(prefix="cloudops-model-"))
    for entry in Path(model_dir).iterdir():
        if entry.name != "code":
            (place / entry.name).symlink_to(entry)
    code = Path(model_dir) / "code"
    theirs = [entry for entry in code.iterdir() if entry.name not in _NAMES] if code.is_dir() else []
    if theirs:
        (place / "code").mkdir()
        for entry in theirs:
            (place / "code" / entry.name).symlink_to(entry)
    return str(place)
