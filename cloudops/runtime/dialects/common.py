"""What the dialects share: the site they answer for, a prediction in any format, and health."""

from __future__ import annotations

from dataclasses import dataclass

from cloudops.runtime import formats
from cloudops.runtime.errors import HttpError
from cloudops.runtime.inference import Inference
from cloudops.runtime.lifecycle import Lifecycle
from cloudops.runtime.messages import Request, Response, text_response
from cloudops.runtime.settings import Settings
from cloudops.runtime.stats import Stats


@dataclass(frozen=True)
class Site:
    """One server's settings, state, counts and model."""

    settings: Settings
    lifecycle: Lifecycle
    stats: Stats
    inference: Inference

    def predict(self, request: Request) -> Response:
        """Rows in the format of ``Content-Type``, predictions in the one that ``Accept`` asks for."""
        answer = formats.answer_format(request.headers.get("accept", ""))
        batch = formats.read(request.body, request.headers.get("content-type", ""))
        predictions = self.inference.predict(request, batch.rows, batch.parameters)
        return Response(200, answer.write(predictions), answer.kind)

    def health(self, _request: Request) -> Response:
        """200 while requests are wanted, 503 while the model is loading or the server is shutting down."""
        if self.lifecycle.ready:
            return text_response("Healthy")
        raise HttpError(503, "shutting down" if self.lifecycle.draining else "the model is being loaded")

    def live(self, _request: Request) -> Response:
        """200 as long as the process answers: a platform restarts a container whose liveness fails."""
        return text_response("Alive")
