"""One request to an endpoint.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/rawPredict. Its answer names what
was deployed that answered; a request cannot name what is to answer.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudops.errors import InvalidRequest, NotFound, ProviderError, Unavailable, UnsupportedFeature
from cloudops.provider import Answer

from .endpoint_status import traffic, versions
from .errors import answered

if TYPE_CHECKING:
    from cloudops.refs import Ref

    from .client import Client
    from .endpoints import Endpoints
    from .errors import Answered

#: The header of an answer that names the deployed model.
ANSWERED_BY = "X-Vertex-AI-Deployed-Model-Id"
#: The part of those who ask for one version that may be told that it did not answer, though it would have.
_UNLUCKY = 1e-6
#: The most requests that one may become.
_MOST = 150
_CLIENT = range(400, 500)


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of an endpoint.

    Args:
        host: that answers for it.
        versions: ids of what is deployed, to versions.
        traffic: the share of each version in percent.
        private: whether it answers in networks of others only.
    """

    host: str
    versions: Mapping[str, str] = field(default_factory=dict)
    traffic: Mapping[str, int] = field(default_factory=dict)
    private: bool = False


class Predicting:
    """Sends requests; remembers where endpoints answer."""

    def __init__(self, client: Client, endpoints: Endpoints) -> None:
        self._client = client
        self._endpoints = endpoints
        self._known: dict[str, Known] = {}
        self._lock = threading.Lock()

    def url(self, described: Mapping[str, Any]) -> str:
        """Where an endpoint answers."""
        endpoint = self._endpoints.name(str(described["name"]).rpartition("/")[2])
        return f"https://{self._host(described)}/v1/{endpoint}:predict"

    def send(self, ref: Ref, body: bytes, content_type: str, version: str | None) -> Answer:
        """Send ``body`` and give back what came.

        Raises:
            InvalidRequest: the model, or the service, refuses it, with its reason.
            ProviderError: the model failed.
            NotFound: the version asked for is not among those that have traffic.
        """
        if version is None:
            return self._once(ref, body, content_type)
        share = self._look(ref).traffic.get(version, 0)
        if not share:
            text = f"the endpoint {ref.id} has no version {version} that serves"
            raise NotFound(text, provider="vertex", ref=ref, hint="status names those that there are")
        for _ in range(tries(ref, version, share)):
            answer = self._once(ref, body, content_type)
            if answer.version in (version, ""):
                break
        if answer.version != version:
            text = f"the version {version} of the endpoint {ref.id} did not answer; Vertex AI lets nobody ask for one"
            raise Unavailable(text, provider="vertex", ref=ref, hint="give it more traffic, or an endpoint of its own")
        return answer

    def _once(self, ref: Ref, body: bytes, content_type: str) -> Answer:
        known = self._known.get(ref.id) or self._look(ref)
        if known.private:
            text = f"the endpoint {ref.id} answers in the networks that it is private to, and not here"
            hint = "ask it there, at its service attachment: `cloudops status` tells it"
            raise UnsupportedFeature(text, provider="vertex", ref=ref, hint=hint)
        try:
            answer = self._client.request(
                "aiplatform.endpoints.predict",
                "POST",
                f"https://{known.host}/v1/{self._endpoints.name(ref.id)}:rawPredict",
                data=body,
                headers={"Content-Type": content_type},
                repeat=False,
            )
        except Exception as error:
            self._forget(ref)
            told = answered(error)
            if told is not None and (found := _of_model(ref, told)) is not None:
                raise found from error
            raise
        return Answer(
            answer.content,
            str(answer.headers.get("Content-Type", "")),
            self._version(ref, str(answer.headers.get(ANSWERED_BY, ""))),
        )

    def _version(self, ref: Ref, deployed: str) -> str:
        """The version of what answered; empty where it is not told."""
        if not deployed:
            return ""
        known = self._known.get(ref.id)
        if known is None or deployed not in known.versions:
            known = self._look(ref)
        return known.versions.get(deployed, "")

    def _look(self, ref: Ref) -> Known:
        described = self._endpoints.get(ref.id)
        if described is None:
            hint = "the credentials must be of that project; it may have been deleted"
            raise NotFound(f"Vertex AI has no endpoint {ref.id} in {ref.scope}", provider="vertex", ref=ref, hint=hint)
        private = bool(described.get("privateServiceConnectConfig", {}).get("enablePrivateServiceConnect"))
        known = Known(self._host(described), versions(described), traffic(described), private)
        with self._lock:
            self._known[ref.id] = known
        return known

    def _forget(self, ref: Ref) -> None:
        """An endpoint that was deleted, or made again, may answer elsewhere."""
        with self._lock:
            self._known.pop(ref.id, None)

    def _host(self, described: Mapping[str, Any]) -> str:
        own = described.get("dedicatedEndpointEnabled") and described.get("dedicatedEndpointDns")
        return str(own or self._client.host)


def tries(ref: Ref, version: str, share: int) -> int:
    """How often to ask until a version with that share in percent has answered.

    Raises:
        UnsupportedFeature: too often.
    """
    if share >= 100:
        return 1
    wanted = math.ceil(math.log(_UNLUCKY) / math.log(1 - share / 100))
    if wanted > _MOST:
        text = f"Vertex AI lets nobody ask for one version, and {version} of {ref.id} answers {share} % of the requests"
        hint = "give it more traffic, or deploy it to an endpoint of its own"
        raise UnsupportedFeature(text, provider="vertex", ref=ref, hint=hint)
    return wanted


def _of_model(ref: Ref, told: Answered) -> ProviderError | None:
    """The error for a model that answered with one, which the service hands on; None for the service's own."""
    try:
        value = json.loads(told.message)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    reason = " ".join(str(value.get("error", value)).split())[:500]
    kind: type[ProviderError] = InvalidRequest if told.http in _CLIENT else ProviderError
    kind = Unavailable if told.http in (503, 504) else kind
    return kind(
        f"the endpoint {ref.id} answered {told.http}: {reason}",
        code=f"ModelError {told.http}",
        provider="vertex",
        operation="predict",
        ref=ref,
    )
