"""From rows to predictions: calls the model, checks what it returns, makes it plain and captures it."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any

from .capture import Capture
from .errors import BadRequest, HttpError, shown
from .messages import Request
from .plain import plain
from .predictor import Model


class Inference:
    """``model`` is set once it is loaded; until then nothing may be predicted."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.model: Model | None = None

    def loaded(self) -> Model:
        """The model.

        Raises:
            HttpError: 503 while there is none.
        """
        if self.model is None:
            raise HttpError(503, "the model is being loaded; try again in a moment", {"Retry-After": "1"})
        return self.model

    def predict(self, request: Request, rows: list[Any], parameters: Mapping[str, Any]) -> list[Any]:
        """One plain prediction per row.

        Raises:
            BadRequest: the model finds fault with the rows.
            HttpError: 500 when the model fails, or does not return one prediction per row; 503 while there is none.
        """
        model = self.loaded()
        started = time.perf_counter()
        # A predictor may change the rows in place; what is captured is what was sent.
        given = [row.copy() if isinstance(row, (dict, list)) else row for row in rows]
        checked = checked_predictions(model, rows, parameters)
        latency = time.perf_counter() - started
        self.capture.keep(time=request.arrived, id=request.id, inputs=given, outputs=checked, latency=latency)
        return checked


def checked_predictions(model: Model, rows: list[Any], parameters: Mapping[str, Any]) -> list[Any]:
    """One plain prediction per row.

    Raises:
        BadRequest: the model finds fault with the rows.
        HttpError: 500 when the model fails, or does not return one prediction per row.
    """
    count = len(rows)
    try:
        outputs = plain(model.predict(rows, parameters))
    except BadRequest:
        raise
    except BaseException as error:  # sys.exit() too: it would end this thread, and leave the client without answer
        traceback.print_exc(file=sys.stderr)
        raise HttpError(500, f"the model failed: {shown(error)}") from error
    return _one_per_row(outputs, count)


def _one_per_row(outputs: Any, count: int) -> list[Any]:
    if not isinstance(outputs, list):
        raise HttpError(500, f"the model must return a list, one prediction per row; it returned {_shown(outputs)}")
    if len(outputs) != count:
        raise HttpError(500, f"the model returned {len(outputs)} predictions for {count} rows")
    return outputs


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text[:60]}{'...' if len(text) > 60 else ''}"
