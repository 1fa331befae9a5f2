"""Endpoints, what is deployed to them, and their operations, through the REST API.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints. What has an id of ours is made
once: another call for it is told that it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.errors import Conflict, NotFound, Unavailable

from .errors import Answered, Refused, is_kind
from .statuses import seconds

if TYPE_CHECKING:
    from .client import Client

Json = dict[str, Any]
#: Seconds within which an operation has come to its end, and between two looks: at first, and at most.
PATIENCE = 1800.0
_SOON, _LATER = 0.1, 5.0
_DEPLOY = "DeployModelOperationMetadata"
#: google.rpc.Code by its number: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)


class Endpoints:
    """The endpoints of a project and location."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def name(self, endpoint: str) -> str:
        """The resource name of an endpoint."""
        return f"{self._client.parent}/endpoints/{endpoint}"

    def url(self, resource: str) -> str:
        """The address of a resource."""
        return f"https://{self._client.host}/v1/{resource}"

    # Endpoints

    def get(self, endpoint: str) -> Json | None:
        """An endpoint as it is now, or None."""
        try:
            answer = self._client.request("aiplatform.endpoints.get", "GET", self.url(self.name(endpoint)))
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise
        return dict(answer.json())

    def all(self, wanted: str) -> Iterator[Json]:
        """Those that match a filter."""
        asked: dict[str, Any] = {"filter": wanted, "pageSize": 100}
        while True:
            answer = self._client.request(
                "aiplatform.endpoints.list", "GET", self.url(f"{self._client.parent}/endpoints"), params=asked
            )
            page = answer.json()
            yield from page.get("endpoints", ())
            if not page.get("nextPageToken"):
                return
            asked["pageToken"] = page["nextPageToken"]

    def create(self, endpoint: str, body: Mapping[str, Any]) -> bool:
        """Create an endpoint and wait until it is there; False where there is one of that name already."""
        url = self.url(f"{self._client.parent}/endpoints")
        try:
            answer = self._client.request(
                "aiplatform.endpoints.create", "POST", url, params={"endpointId": endpoint}, json=body
            )
        except Exception as error:
            if is_kind(error, Conflict) and self.get(endpoint) is not None:
                return False
            raise
        self.wait(answer.json())
        return True

    def patch(self, described: Mapping[str, Any], **changes: Any) -> None:
        """Change an endpoint as it was described.

        Raises:
            Refused: it has been changed meanwhile (ABORTED), or something else.
        """
        body = {"name": described["name"], "etag": described.get("etag", ""), **changes}
        self._client.request(
            "aiplatform.endpoints.update",
            "PATCH",
            self.url(str(described["name"])),
            params={"updateMask": ",".join(changes)},
            json=body,
            repeat=False,
        )

    def delete(self, endpoint: str) -> None:
        """Delete an endpoint that has nothing deployed, and wait until it is gone; silent when it is."""
        try:
            answer = self._client.request("aiplatform.endpoints.delete", "DELETE", self.url(self.name(endpoint)))
        except Exception as error:
            if is_kind(error, NotFound):
                return
            raise
        self.wait(answer.json())

    # What is deployed

    def deploy(self, endpoint: str, deployed: Mapping[str, Any], split: Mapping[str, int]) -> Json:
        """Begin to deploy a model; traffic moves once its replicas are healthy. Returns the operation.

        Args:
            endpoint: to which.
            deployed: a DeployedModel, its id included.
            split: the traffic from then on; ``0`` is what is being deployed.
        """
        answer = self._client.request(
            "aiplatform.endpoints.deploy",
            "POST",
            f"{self.url(self.name(endpoint))}:deployModel",
            json={"deployedModel": deployed, "trafficSplit": split},
            repeat=False,
        )
        return dict(answer.json())

    def undeploy(self, endpoint: str, deployed: str) -> Json | None:
        """Begin to take a deployed model out of service; None where it is gone, or is being taken out."""
        try:
            answer = self._client.request(
                "aiplatform.endpoints.undeploy",
                "POST",
                f"{self.url(self.name(endpoint))}:undeployModel",
                json={"deployedModelId": deployed},
            )
        except Exception as error:
            if is_kind(error, NotFound, Conflict):
                return None
            raise
        return dict(answer.json())

    # Operations

    def operations(self, endpoint: str) -> list[Json]:
        """The operations of an endpoint that the service still knows, oldest first."""
        found: list[Json] = []
        asked: dict[str, Any] = {"pageSize": 100}
        while True:
            url = f"{self.url(self.name(endpoint))}/operations"
            page = self._client.request("aiplatform.operations.list", "GET", url, params=asked).json()
            found += page.get("operations", ())
            if not page.get("nextPageToken"):
                return sorted(found, key=begun)
            asked["pageToken"] = page["nextPageToken"]

    def deploying(self, endpoint: str, since: float) -> list[Json]:
        """The operations that deploy a model and began after ``since`` (of the service's time), oldest first."""
        return [each for each in self.operations(endpoint) if is_deployment(each) and begun(each) > since]

    def operation(self, name: str) -> Json:
        """An operation as it is now."""
        return dict(self._client.request("aiplatform.operations.get", "GET", self.url(name)).json())

    def wait(self, operation: Mapping[str, Any], patience: float = PATIENCE) -> Json:
        """The response of an operation once it is done.

        Raises:
            Refused: it failed.
            Unavailable: it is not done after ``patience`` seconds.
        """
        made = dict(operation)

        def done() -> bool:
            nonlocal made
            if not made.get("done"):
                made = self.operation(str(made["name"]))
            return bool(made.get("done"))

        if not self.until(done, patience):
            text = f"the operation {made['name']} is not done after {patience:g} s"
            raise Unavailable(text, provider="vertex", hint="it goes on: try again later")
        if "error" in made:
            raise Refused(failure(made))
        return dict(made.get("response", {}))

    def until(self, done: Callable[[], bool], patience: float = PATIENCE) -> bool:
        """Look until something is ``done``; False where it is not after ``patience`` seconds."""
        waited, wait = 0.0, _SOON
        while not done():
            if waited > patience:
                return False
            self._client.sleep(wait)
            waited, wait = waited + wait, min(_LATER, wait * 1.3)
        return True


def begun(operation: Mapping[str, Any]) -> float:
    """When an operation began, in epoch seconds of the service's clock."""
    return seconds(operation.get("metadata", {}).get("genericMetadata", {}).get("createTime")) or 0.0


def ended(operation: Mapping[str, Any]) -> float | None:
    """When an operation that is done ended; None where that is not told."""
    return seconds(operation.get("metadata", {}).get("genericMetadata", {}).get("updateTime"))


def is_deployment(operation: Mapping[str, Any]) -> bool:
    """Whether an operation deploys a model."""
    return str(operation.get("metadata", {}).get("@type", "")).endswith(_DEPLOY)


def failure(operation: Mapping[str, Any]) -> Answered:
    """Why an operation failed, as an answer that is no success."""
    error = operation["error"]
    number = int(error.get("code", 2))
    code = _CODES[number] if 0 < number < len(_CODES) else "UNKNOWN"
    return Answered(code, " ".join(str(error.get("message", "")).split()))
