"""Google's SDK, imported here alone, and no more of it than a call needs; importing this module imports none of it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.errors import MissingDependency

from .lazy import lazily

if TYPE_CHECKING:
    from .options import VertexTarget

_V1 = "google.cloud.aiplatform_v1"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
#: Seconds that one call may take.
TIMEOUT = 60.0


def imported(name: str) -> Any:
    """A module of the SDK.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        with lazily(_V1, f"{_V1}.types", f"{_V1}.services.job_service"):
            return importlib.import_module(name)
    except ImportError as error:
        hint = "pip install 'cloudops-ml[vertex]'"
        text = f"the provider vertex needs the package {_distribution(name)}"
        raise MissingDependency(text, provider="vertex", hint=hint) from error


def _distribution(name: str) -> str:
    if name.startswith("google.cloud.aiplatform"):
        return "google-cloud-aiplatform"
    return "google-auth" if name.startswith("google.") else name.partition(".")[0]


def credentials(settings: VertexTarget) -> tuple[Any, str | None]:
    """The credentials, and the project that comes with them, as Google's tools find them.

    https://cloud.google.com/docs/authentication/application-default-credentials
    """
    found, project = imported("google.auth").default(scopes=_SCOPES)
    if settings.impersonate is not None:
        impersonated = imported("google.auth.impersonated_credentials")
        found = impersonated.Credentials(found, target_principal=settings.impersonate, target_scopes=_SCOPES)
    return found, project


def session(found: Any, pool: int) -> Any:
    """An HTTP session that signs its requests; safe to use from ``pool`` threads."""
    made = imported("google.auth.transport.requests").AuthorizedSession(found)
    made.mount("https://", imported("requests.adapters").HTTPAdapter(pool_connections=8, pool_maxsize=pool))
    return made


class JobService:
    """Custom jobs as JSON values, in the notation of the REST API.

    https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs

    Args:
        found: the credentials.
        host: of the service in a location.
        parent: ``projects/*/locations/*``.
    """

    def __init__(self, found: Any, host: str, parent: str) -> None:
        module = imported(f"{_V1}.services.job_service.client")
        self._types = imported(f"{_V1}.types.custom_job")
        self._requests = imported(f"{_V1}.types.job_service")
        self._client = module.JobServiceClient(
            credentials=found, transport="rest", client_options={"api_endpoint": host}, client_info=_client_info()
        )
        self._parent = parent

    def create(self, native: Mapping[str, Any]) -> dict[str, Any]:
        """Create a job; its answer has the name that the service gives it."""
        job = self._types.CustomJob.from_json(json.dumps(native))
        return self._asked(self._client.create_custom_job, parent=self._parent, custom_job=job)

    def get(self, resource: str) -> dict[str, Any]:
        """One job by its resource name."""
        return self._asked(self._client.get_custom_job, name=resource)

    def list(self, wanted: str, *, fields: str = "", size: int = 100) -> Iterator[dict[str, Any]]:
        """The jobs that match a filter; with ``fields`` (a field mask) no more than those of each."""
        given: dict[str, Any] = {"parent": self._parent, "filter": wanted, "page_size": size}
        if fields:
            given["read_mask"] = {"paths": fields.split(",")}
        request = self._requests.ListCustomJobsRequest(given)
        for job in self._client.list_custom_jobs(request=request, timeout=TIMEOUT):
            yield self._json(job)

    def cancel(self, resource: str) -> None:
        """Ask a job to end."""
        self._client.cancel_custom_job(name=resource, timeout=TIMEOUT)

    def delete(self, resource: str) -> None:
        """Delete a job that has ended; returns before that is done."""
        self._client.delete_custom_job(name=resource, timeout=TIMEOUT)

    def close(self) -> None:
        """Close connections."""
        self._client.transport.close()

    def _asked(self, call: Callable[..., Any], **given: Any) -> dict[str, Any]:
        return self._json(call(**given, timeout=TIMEOUT))

    def _json(self, message: Any) -> dict[str, Any]:
        found: dict[str, Any] = imported("google.protobuf.json_format").MessageToDict(type(message).pb(message))
        return found


def _client_info() -> Any:
    return imported("google.api_core.gapic_v1.client_info").ClientInfo(user_agent="cloudops")
