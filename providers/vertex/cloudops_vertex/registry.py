"""The models behind an endpoint: one in Vertex AI's registry for each version.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.models. A model's id follows from endpoint
and version, so that it is made once. How it is deployed is kept in its description, for whoever deploys it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.errors import Conflict, NotFound

from . import names
from .errors import is_kind
from .names import Place

if TYPE_CHECKING:
    from .client import Client
    from .endpoints import Endpoints

Json = dict[str, Any]
_ARTIFACT = "artifact"
#: Seconds within which another's upload of the same model has come to its end.
_OTHERS = 300.0


class Registry:
    """The models of the endpoints of a project and location."""

    def __init__(self, client: Client, endpoints: Endpoints) -> None:
        self._client = client
        self._endpoints = endpoints

    def name(self, endpoint: str, version: str) -> str:
        """The resource name of a version's model."""
        return f"{self._client.parent}/models/{model_id(endpoint, version)}"

    def get(self, endpoint: str, version: str) -> Json | None:
        """The model of a version, or None."""
        url = self._endpoints.url(self.name(endpoint, version))
        try:
            return dict(self._client.request("aiplatform.models.get", "GET", url).json())
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise

    def all(self, endpoint: str) -> Iterator[Json]:
        """The models of an endpoint."""
        url = self._endpoints.url(f"{self._client.parent}/models")
        asked: dict[str, Any] = {"filter": f'labels.{names.ENDPOINT}="{endpoint}"', "pageSize": 100}
        while True:
            page = self._client.request("aiplatform.models.list", "GET", url, params=asked).json()
            yield from page.get("models", ())
            if not page.get("nextPageToken"):
                return
            asked["pageToken"] = page["nextPageToken"]

    def ensure(self, endpoint: str, version: str, body: Mapping[str, Any]) -> None:
        """Have the model of a version be there, and wait for that; one that is there is deployed as asked for now.

        Raises:
            Refused: it cannot be.
        """
        found = self.get(endpoint, version)
        if found is None:
            self._upload(endpoint, version, body)
        elif found.get("description") != body["description"]:
            self._client.request(
                "aiplatform.models.update",
                "PATCH",
                self._endpoints.url(self.name(endpoint, version)),
                params={"updateMask": "description"},
                json={"name": found["name"], "description": body["description"]},
            )

    def _upload(self, endpoint: str, version: str, body: Mapping[str, Any]) -> None:
        url = f"{self._endpoints.url(f'{self._client.parent}/models')}:upload"
        given = {"modelId": model_id(endpoint, version), "model": body}
        try:
            answer = self._client.request("aiplatform.models.upload", "POST", url, json=given)
            self._endpoints.wait(answer.json())
        except Exception as error:
            # Another client, or our own call whose answer was lost, uploads this very model.
            there = is_kind(error, Conflict) and self._endpoints.until(
                lambda: self.get(endpoint, version) is not None, _OTHERS
            )
            if not there:
                raise

    def delete(self, endpoint: str, version: str) -> bool:
        """Delete a model and wait until it is gone; False where that cannot be yet, for it is deployed."""
        try:
            url = self._endpoints.url(self.name(endpoint, version))
            answer = self._client.request("aiplatform.models.delete", "DELETE", url)
            self._endpoints.wait(answer.json())
        except Exception as error:
            if is_kind(error, Conflict):
                return False
            if not is_kind(error, NotFound):
                raise
        return True


def model_id(endpoint: str, version: str) -> str:
    """The id of a version's model."""
    return f"{endpoint}-{version}"


def version_of(deployed: Mapping[str, Any], endpoint: str) -> str:
    """The version of a deployed model; empty for one that cloudops did not deploy."""
    own = str(deployed.get("model", "")).rpartition("/")[2].partition("@")[0]
    prefix = f"{endpoint}-"
    return own.removeprefix(prefix) if own.startswith(prefix) else ""


def deployment(model: Mapping[str, Any]) -> Json:
    """The DeployedModel that a version is deployed as, but for its id; from what its model was described with."""
    found: Json = json.loads(str(model.get("description", "{}")))
    return {**found, "model": model["name"]}


def folder(model: Mapping[str, Any]) -> Place | None:
    """Where everything of a version is; None where its model does not tell."""
    artifact = Place.parse(str(model.get("artifactUri", "")))
    base, _, last = artifact.key.rpartition("/")
    return Place(artifact.bucket, base) if last == _ARTIFACT else None


def artifact(version: Place) -> Place:
    """Where in a version's folder that is which its model is made of."""
    return version / _ARTIFACT
