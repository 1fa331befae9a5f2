"""``cloudops check``: whether a run would work. Creates nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from cloudops.errors import CloudopsError, InvalidRequest
from cloudops.provider import CheckResult, DeployRequest, JobRequest

from . import jobs, names, serving
from .errors import translated
from .names import Layout
from .storage import Storage

if TYPE_CHECKING:
    from cloudops.provider import Request

    from .client import Client


def check(client: Client, requests: Iterable[Request]) -> list[CheckResult]:
    """Credentials, project and location, Vertex AI, bucket, machines; the later need the earlier."""
    results = []
    for name, look in (
        ("credentials", lambda: _credentials(client)),
        ("project", lambda: f"{client.project} in {client.location}"),
        ("jobs", lambda: _jobs(client)),
    ):
        results.append(_looked(name, look))
        if not results[-1].ok:
            return results
    results.append(_looked("bucket", lambda: _bucket(client)))
    return [*results, *_machines(client, requests)] if results[-1].ok else results


def _looked(name: str, look: Callable[[], str]) -> CheckResult:
    try:
        with translated("check"):
            return CheckResult(name, True, look())
    except CloudopsError as error:
        return CheckResult(name, False, error.message, error.hint or "see docs/vertex.md")


def _credentials(client: Client) -> str:
    found = client.credentials
    email = getattr(found, "service_account_email", "") or getattr(found, "account", "")
    kind = type(found).__module__.removeprefix("google.")
    return f"{email or 'an account that its credentials do not name'} ({kind})"


def _jobs(client: Client) -> str:
    wanted = f'labels.{names.NAME}="none"'
    client.repeated(lambda: list(client.jobs.list(wanted, size=1)))
    return f"Vertex AI answers in {client.location}"


def _bucket(client: Client) -> str:
    storage = Storage(client)
    if not storage.has_bucket(client.bucket):
        return f"{client.bucket} will be created by the first run"
    found = storage.bucket(client.bucket) or {}
    location = str(found.get("location", "")).lower()
    if "-" in location and location != client.location:
        text = f"the bucket {client.bucket} is in {location}, and jobs in {client.location} would read it from afar"
        hint = f"choose one in {client.location}, or in the multi-region around it"
        raise InvalidRequest(text, provider="vertex", hint=hint)
    return f"{client.bucket} is there"


def _machines(client: Client, requests: Iterable[Request]) -> Iterator[CheckResult]:
    """Whether each step has a machine and an image; what the project may have of them, Vertex AI tells no one here."""
    for request in requests:
        try:
            cost = _cost(client, request)
        except CloudopsError as error:
            yield CheckResult(
                request.step if isinstance(request, JobRequest) else "deploy",
                False,
                error.message,
                error.hint or "see docs/vertex.md",
            )
            continue
        if cost is not None:
            yield CheckResult(*cost)


def _cost(client: Client, request: Request) -> tuple[str, bool, str] | None:
    """The step of a request, and what its machines cost; None for what is no step here.

    Raises:
        CloudopsError: it has no machine, or something else has no place in Vertex AI.
    """
    from .runtime import runtime_name, stub

    if isinstance(request, DeployRequest):
        where = _where(client, request.project)
        return "deploy", True, serving.prepare(request, where, runtime_name(), stub("inference_stub.py")).cost
    if isinstance(request, JobRequest):
        where = _where(client, request.lineage.project)
        return request.step, True, jobs.prepare(request, where, runtime_name(), stub()).cost
    return None


def _where(client: Client, project: str) -> jobs.Where:
    layout = Layout.of(client.bucket, client.settings.prefix, project)
    return jobs.Where(client.project, client.location, layout, client.settings)
