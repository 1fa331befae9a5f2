"""Open Inference Protocol, version 2, over REST with JSON tensors.

Source: https://github.com/open-inference/open-inference-protocol, ``specification/protocol/inference_rest.md``.
"""

from __future__ import annotations

from typing import Any

from cloudops.runtime.errors import BadRequest, HttpError
from cloudops.runtime.formats.json_rows import document
from cloudops.runtime.media import choose, parse
from cloudops.runtime.messages import JSON, Request, Response, json_response
from cloudops.runtime.routing import Route

from .common import Site
from .tensors import from_predictions, to_rows

_VERSION = "2.0"


def routes(site: Site) -> list[Route]:
    """The server's and the model's routes, the latter with and without the version."""
    protocol = _OpenInference(site)
    model = f"/v2/models/{site.settings.name}"
    found = [
        Route("GET", "/v2", protocol.server),
        Route("GET", "/v2/health/live", site.live, health=True),
        Route("GET", "/v2/health/ready", site.health, health=True),
    ]
    for path in (model, f"{model}/versions/{site.settings.version}"):
        found.append(Route("GET", path, protocol.metadata))
        found.append(Route("GET", f"{path}/ready", site.health, health=True))
        found.append(Route("POST", f"{path}/infer", protocol.infer, works=True))
    return found


class _OpenInference:
    def __init__(self, site: Site) -> None:
        self._site = site

    def server(self, _request: Request) -> Response:
        return json_response({"name": "cloudops", "version": _VERSION, "extensions": []})

    def metadata(self, _request: Request) -> Response:
        model, settings = self._site.inference.loaded(), self._site.settings
        inputs = [{"name": each.name, "datatype": each.datatype, "shape": list(each.shape)} for each in model.inputs()]
        platform = model.framework
        return json_response(
            {
                "name": settings.name,
                "versions": [settings.version],
                "platform": platform,
                "inputs": inputs,
                "outputs": [],
            }
        )

    def infer(self, request: Request) -> Response:
        _check_media(request)
        body = document(request.body)
        if not isinstance(body, dict):
            raise BadRequest("the body must be an object with 'inputs'")
        predictions = self._site.inference.predict(request, to_rows(body.get("inputs")), {})
        answer: dict[str, Any] = {
            "model_name": self._site.settings.name,
            "model_version": self._site.settings.version,
            "outputs": _requested(from_predictions(predictions), body.get("outputs")),
        }
        if isinstance(body.get("id"), str):
            answer["id"] = body["id"]
        return json_response(answer)


def _check_media(request: Request) -> None:
    kind = parse(request.headers.get("content-type") or JSON)[0]
    if kind != JSON or "inference-header-content-length" in request.headers:
        raise HttpError(415, f"this route takes {JSON} with the tensors in it, not {kind}")
    accept = request.headers.get("accept", "")
    if choose(accept, [JSON]) is None:
        raise HttpError(406, f"this route answers {JSON} only, not {accept!r}")


def _requested(outputs: list[dict[str, Any]], wanted: Any) -> list[dict[str, Any]]:
    """Those of ``outputs`` that the request names; all where it names none."""
    if not wanted:
        return outputs
    known = {each["name"]: each for each in outputs}
    if not isinstance(wanted, list) or not all(_is_named(each) for each in wanted):
        raise BadRequest("'outputs' must be a list of objects with a 'name', a text")
    unknown = [each["name"] for each in wanted if each["name"] not in known]
    if unknown:
        raise BadRequest(f"there is no output {unknown[0]!r}; there are {', '.join(known)}")
    return [known[each["name"]] for each in wanted]


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str)
