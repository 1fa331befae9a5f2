"""The managed copy of a model's artifact: what its containers are given, whatever becomes of the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .protocol.errors import ServiceError
from .storage.errors import NotFound
from .storage.things import DEFAULT_TYPE

if TYPE_CHECKING:
    from .names import Name
    from .site import Site
    from .store import Record

#: Of the project that Google's own buckets belong to: they are in no list of the user's.
_TENANT = "cloudops-tenant"


def copy_artifact(site: Site, model: Name, version: str, uri: str) -> None:
    """Copy all objects below ``uri`` for a version of ``model``, whose name has the project's number.

    Raises:
        ServiceError: INVALID_ARGUMENT: there is nothing.
    """
    bucket, _, prefix = uri.removeprefix("gs://").partition("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
    try:
        found = [one for one in site.buckets.list(bucket, prefix) if not one.name.endswith("/")]
    except NotFound:
        found = []
    if not found:
        raise ServiceError("INVALID_ARGUMENT", f"The artifact URI {uri} does not exist, or there is no object in it.")
    target, place = _place(model.project, model.id, version)
    if site.buckets.bucket(target) is None:
        site.buckets.create(target, project=_TENANT)
    for one in found:
        name = one.name[len(prefix) :]
        site.buckets.put(
            target, f"{place}/{name}", one.path, content_type=str(one.fields.get("contentType", DEFAULT_TYPE))
        )


def managed(record: Record) -> str:
    """Where the copy for a version of a model lies; empty for a model without an artifact."""
    if not record.message.artifact_uri:
        return ""
    bucket, place = _place(record.name.project, record.name.id.partition("@")[0], record.message.version_id)
    return f"gs://{bucket}/{place}"


def drop_artifact(site: Site, record: Record) -> None:
    """Delete the copy of a version's artifact."""
    bucket, _, prefix = managed(record).removeprefix("gs://").partition("/")
    for one in site.buckets.list(bucket, f"{prefix}/") if bucket else ():
        site.buckets.delete(bucket, one.name)


def _place(project: str, model: str, version: str) -> tuple[str, str]:
    return f"caip-tenant-{project}", f"{model}/{version}"
