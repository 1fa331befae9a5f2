"""The JSON API's operations on buckets."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from . import conditions
from .answer import Answer, of_json
from .errors import Conflict, Invalid, NotEmulated, PreconditionFailed, Required
from .listing import LARGEST, after, token
from .request import Request
from .resources import bucket_etag, bucket_settings, of_bucket
from .service import Service, handles
from .things import Bucket


@handles("buckets.insert")
def insert(service: Service, request: Request) -> Answer:
    """Make one."""
    project, body = request.query.get("project"), request.json()
    if not project:
        raise Required("project")
    if not body.get("name"):
        raise Required("name")
    if request.query.get("enableObjectRetention", "").lower() == "true":
        raise NotEmulated("retention")
    settings = bucket_settings(body, {})
    made = service.buckets.create(str(body["name"]), project=project, location=settings["location"], settings=settings)
    return _shown(service, request, made)


@handles("buckets.get")
def get(service: Service, request: Request) -> Answer:
    """Show one."""
    found = service.bucket(request)
    _check(request, found, reading=True)
    return _shown(service, request, found)


@handles("buckets.list")
def list_(service: Service, request: Request) -> Answer:
    """Show those of a project, a page at a time."""
    project, prefix = request.query.get("project"), request.query.get("prefix", "")
    if not project:
        raise Required("project")
    if request.query.get("softDeleted", "").lower() == "true":
        raise NotEmulated("soft deletion")
    number = service.project_number(project)
    last = after(request.query["pageToken"]) if request.query.get("pageToken") else ""
    found = [
        bucket
        for bucket in service.buckets.buckets()
        if service.project_number(bucket.project) == number and bucket.name.startswith(prefix) and bucket.name > last
    ]
    limit = min(request.number("maxResults") or LARGEST, LARGEST)
    answer: dict[str, Any] = {"kind": "storage#buckets"}
    if found:
        answer["items"] = [of_bucket(bucket, number, request.base) for bucket in found[:limit]]
    if len(found) > limit:
        answer["nextPageToken"] = token(found[limit - 1].name)
    return of_json(answer, request.query.get("fields"))


@handles("buckets.patch")
def patch(service: Service, request: Request) -> Answer:
    """Change settings."""
    body = request.json()
    return _changed(service, request, lambda bucket: bucket_settings(body, bucket.settings))


@handles("buckets.update")
def update(service: Service, request: Request) -> Answer:
    """Replace all settings but the location, which stays."""
    body = request.json()
    return _changed(service, request, lambda bucket: bucket_settings(body, {"location": bucket.settings["location"]}))


@handles("buckets.delete")
def delete(service: Service, request: Request) -> Answer:
    """Remove one that is empty."""
    service.buckets.remove_bucket(request.route.bucket, lambda bucket: _check(request, bucket))
    return Answer(204)


@handles("buckets.getIamPolicy")
def get_policy(service: Service, request: Request) -> Answer:
    """Show who may do what."""
    return of_json(_policy(service.bucket(request)), request.query.get("fields"))


@handles("buckets.setIamPolicy")
def set_policy(service: Service, request: Request) -> Answer:
    """Say who may do what; nobody is measured by it."""
    body = request.json()
    _check_bindings(body.get("bindings", []))
    policy: dict[str, Any] = {key: body[key] for key in ("bindings", "version") if key in body}

    def change(bucket: Bucket) -> Bucket:
        if body.get("etag") not in (None, "", _policy(bucket)["etag"]):
            text = "There were concurrent policy changes. Please retry the whole read-modify-write."
            raise Conflict(text, "ConcurrentPolicyChanges")
        return replace(bucket, policy=policy)

    changed = service.buckets.change_bucket(request.route.bucket, change)
    return of_json(_policy(changed), request.query.get("fields"))


@handles("buckets.testIamPermissions")
def test_permissions(service: Service, request: Request) -> Answer:
    """Say which of some permissions the caller has: all."""
    service.bucket(request)
    asked = parse_qs(str(request.environ.get("QUERY_STRING", ""))).get("permissions", [])
    return of_json({"kind": "storage#testIamPermissionsResponse", **({"permissions": asked} if asked else {})})


@handles("buckets.getStorageLayout")
def layout(service: Service, request: Request) -> Answer:
    """Say that the namespace is flat."""
    shown = of_bucket(service.bucket(request), "", request.base)
    return of_json(
        {
            "kind": "storage#storageLayout",
            "bucket": shown["name"],
            "location": shown["location"],
            "locationType": shown["locationType"],
            "hierarchicalNamespace": {"enabled": False},
        }
    )


@handles("projects.serviceAccount.get")
def service_account(service: Service, request: Request) -> Answer:
    """Name the account of Cloud Storage itself in a project."""
    number = service.project_number(request.route.project)
    email = f"service-{number}@gs-project-accounts.iam.gserviceaccount.com"
    return of_json({"kind": "storage#serviceAccount", "email_address": email})


def _policy(bucket: Bucket) -> Mapping[str, Any]:
    tag = b64encode(b"\x08" + str(bucket.metageneration).encode()).decode()
    owner = {"role": "roles/storage.legacyBucketOwner", "members": [f"projectOwner:{bucket.project}"]}
    shown = {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket.name}", "version": 1, "etag": tag}
    return {**shown, "bindings": [owner], **bucket.policy}


def _check_bindings(bindings: Any) -> None:
    """Raise Invalid where they are not roles with members."""
    for one in bindings if isinstance(bindings, list) else [None]:
        if not isinstance(one, dict) or not one.get("role") or not isinstance(one.get("members", []), list):
            raise Invalid("Invalid policy: each binding needs a role and a list of members.", "bindings")


def _changed(service: Service, request: Request, settings: Any) -> Answer:
    def change(bucket: Bucket) -> Bucket:
        _check(request, bucket)
        return replace(bucket, settings=settings(bucket))

    return _shown(service, request, service.buckets.change_bucket(request.route.bucket, change))


class _Versioned:
    """A bucket as conditions see it."""

    def __init__(self, bucket: Bucket) -> None:
        self.generation, self.metageneration, self.etag = 1, bucket.metageneration, bucket_etag(bucket)


def _check(request: Request, bucket: Bucket, *, reading: bool = False) -> None:
    """Raise PreconditionFailed or NotModified."""
    wanted = conditions.of_query(request.query, request.headers)
    if wanted.generation_match is not None or wanted.generation_not_match is not None:
        raise PreconditionFailed()
    wanted.check(_Versioned(bucket), reading=reading)


def _shown(service: Service, request: Request, bucket: Bucket) -> Answer:
    shown = of_bucket(bucket, service.project_number(bucket.project), request.base)
    return of_json(shown, request.query.get("fields"))
