"""The permissions that cloudops needs, from one table of the calls that it makes.

``python -m cloudops_vertex.policy`` prints a custom role for whoever runs cloudops, as ``gcloud iam roles create
ROLE --project PROJECT --file`` takes it; with ``--job`` that of the service account that jobs run as.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Need:
    """What one call needs.

    Args:
        permissions: of IAM, the first of them the call's own.
        optional: what goes without it, for what is needed only sometimes; empty where it is always needed.
    """

    permissions: tuple[str, ...]
    optional: str = ""


def _need(permissions: str, optional: str = "") -> Need:
    return Need(tuple(permissions.split()), optional)


_BUCKET = "a bucket that is there already, and named in the target"
_SECRET = "steps without secrets"
_ENDPOINT = "projects without endpoints"

#: A call to what it needs. The tests hold it against the calls that are made.
CALLS: Mapping[str, Need] = {
    "aiplatform.customJobs.create": _need("aiplatform.customJobs.create"),
    "aiplatform.customJobs.get": _need("aiplatform.customJobs.get"),
    "aiplatform.customJobs.list": _need("aiplatform.customJobs.list"),
    "aiplatform.customJobs.cancel": _need("aiplatform.customJobs.cancel"),
    "aiplatform.customJobs.delete": _need("aiplatform.customJobs.delete"),
    **{
        f"aiplatform.endpoints.{call}": _need(f"aiplatform.endpoints.{call}", _ENDPOINT)
        for call in ("get", "list", "create", "update", "delete", "predict")
    },
    # The model is read by whoever deploys it.
    "aiplatform.endpoints.deploy": _need("aiplatform.endpoints.deploy aiplatform.models.get", _ENDPOINT),
    "aiplatform.endpoints.undeploy": _need("aiplatform.endpoints.undeploy", _ENDPOINT),
    **{
        f"aiplatform.models.{call}": _need(f"aiplatform.models.{call}", _ENDPOINT)
        for call in ("get", "list", "upload", "update", "delete")
    },
    # An operation is read by whoever may read what it is about.
    "aiplatform.operations.get": _need("aiplatform.endpoints.get aiplatform.models.get", _ENDPOINT),
    "aiplatform.operations.list": _need("aiplatform.operations.list", _ENDPOINT),
    "storage.buckets.get": _need("storage.buckets.get", "a bucket of the default name"),
    "storage.buckets.list": _need("storage.buckets.list", _BUCKET),
    "storage.buckets.insert": _need("storage.buckets.create", _BUCKET),
    # Writing over an object deletes the one before, and takes that permission.
    "storage.objects.insert": _need("storage.objects.create storage.objects.delete"),
    "storage.objects.rewrite": _need("storage.objects.create storage.objects.get", _ENDPOINT),
    "storage.objects.get": _need("storage.objects.get"),
    "storage.objects.list": _need("storage.objects.list"),
    "storage.objects.delete": _need("storage.objects.delete"),
    "logging.entries.list": _need("logging.logEntries.list"),
    "monitoring.timeSeries.list": _need("monitoring.timeSeries.list", "what jobs used of their machines, and canaries"),
    "secretmanager.secrets.create": _need("secretmanager.secrets.create", _SECRET),
    "secretmanager.secrets.addVersion": _need("secretmanager.versions.add", _SECRET),
    "secretmanager.secrets.delete": _need("secretmanager.secrets.delete", _SECRET),
}

#: What goes with them: the job runs as a service account that the caller may use.
BESIDE: Sequence[Need] = (_need("iam.serviceAccounts.actAs", "targets without service_account"),)

#: What the service account of jobs needs.
JOB: Sequence[Need] = (
    _need("storage.objects.create storage.objects.delete storage.objects.get storage.objects.list"),
    _need("logging.logEntries.create"),
    _need("artifactregistry.repositories.downloadArtifacts", "Google's own images"),
    _need("secretmanager.versions.access", _SECRET),
)


def permission(call: str) -> str:
    """The permission that a call needs; empty where it is not known."""
    need = CALLS.get(call)
    return need.permissions[0] if need else ""


def role(*, of_job: bool = False) -> dict[str, Any]:
    """The custom role of whoever runs cloudops, or ``of_job`` that of the jobs' service account."""
    needs = JOB if of_job else (*CALLS.values(), *BESIDE)
    title = "cloudops jobs" if of_job else "cloudops"
    what = "What the jobs of cloudops need" if of_job else "What cloudops needs to run jobs and endpoints on Vertex AI"
    return {
        "title": title,
        "description": what,
        "stage": "GA",
        "includedPermissions": sorted({each for need in needs for each in need.permissions}),
    }


def main(arguments: Sequence[str]) -> int:
    """Print a role; see the module's docstring."""
    if any(word != "--job" for word in arguments):
        print(__doc__, file=sys.stderr)  # noqa: T201 - a program of its own
        return 2
    print(json.dumps(role(of_job="--job" in arguments), indent=2))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
