"""Which host stands for what: an API of the descriptors, or a WSGI application of its own."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import rest
from .bigquery_api import BigQuery
from .faults import fault
from .iam_credentials import IamCredentials
from .metadata_server import MetadataServer
from .resource_manager import ProjectsV1
from .secret_manager import SecretManager
from .storage.api import StorageApi
from .storage.identify import identify as storage_call
from .storage.refusals import refuse as storage_refusal
from .token_api import TokenApi

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from cloudops.offline.faults import FaultKind

    from .site import Site

_APIS: Mapping[str, str] = {
    "aiplatform.googleapis.com": "google.cloud.aiplatform",
    "*-aiplatform.googleapis.com": "google.cloud.aiplatform",
    "*.prediction.vertexai.goog": "google.cloud.aiplatform",
    "logging.googleapis.com": "google.logging.v2",
    "monitoring.googleapis.com": "google.monitoring.v3",
    "cloudresourcemanager.googleapis.com": "google.cloud.resourcemanager.v3",
}


def api(host: str) -> str | None:
    """The package of the API that a host stands for; None where it is none that is described."""
    return next((package for pattern, package in _APIS.items() if fnmatch.fnmatchcase(host, pattern)), None)


def unnamed(environ: WSGIEnvironment) -> tuple[str, str]:
    """A name for a call of which no more is known than its host and path."""
    return f"{str(environ['HTTP_HOST']).partition('.')[0]}:{environ['REQUEST_METHOD']}", str(environ["PATH_INFO"])


def _refuse(kind: FaultKind, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return rest.refuse(fault(kind, unnamed(environ)[0]), start_response)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that the descriptors do not describe.

    Args:
        application: answers its requests.
        identify: the operation and the resource of a request.
        refuse: answers with the service's own error for a fault.
    """

    application: WSGIApplication
    identify: Callable[[WSGIEnvironment], tuple[str, str]] = unnamed
    refuse: Callable[[FaultKind, WSGIEnvironment, StartResponse], Iterable[bytes]] = _refuse


def services(site: Site) -> Mapping[str, Service]:
    """Services by patterns of host and path."""
    principal = site.tokens.principal
    storage = Service(StorageApi(site.buckets, site.projects.number, principal), storage_call, storage_refusal)
    tokens = Service(TokenApi(site.tokens))
    secrets, tables = SecretManager(site), BigQuery(site)
    return {
        "storage.googleapis.com/*": storage,
        "*.storage.googleapis.com/*": storage,
        "www.googleapis.com/storage/*": storage,
        "oauth2.googleapis.com/*": tokens,
        "www.googleapis.com/oauth2/*": tokens,
        "sts.googleapis.com/*": tokens,
        "iamcredentials.googleapis.com/*": Service(IamCredentials(site.tokens, may=site.may)),
        "cloudresourcemanager.googleapis.com/v1/*": Service(ProjectsV1(site)),
        "secretmanager.googleapis.com/*": Service(secrets, secrets.identify),
        "bigquery.googleapis.com/*": Service(tables, tables.identify, tables.refuse),
        "metadata.google.internal/*": Service(MetadataServer(site.tokens, site.projects)),
    }
