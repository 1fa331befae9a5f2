"""Buckets and objects as the JSON API shows them, and what of them clients can set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .answer import instant
from .errors import Invalid, NotEmulated
from .things import Bucket, Object, etag

_MULTI_REGIONS = frozenset({"US", "EU", "ASIA"})
_DUAL_REGIONS = frozenset({"NAM4", "EUR4", "EUR5", "EUR7", "EUR8", "ASIA1"})
_REGION = re.compile(r"[A-Z]+-[A-Z]+\d+")
_DEFAULT_CLASS = "STANDARD"
_CLASSES = frozenset({"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL"})
_SOFT_DELETE = {"retentionDurationSeconds": "604800"}

#: Settings of buckets that change nothing here, and are shown as they were set; and of what type they are.
_BUCKET_SETTINGS: Mapping[str, type] = {
    "location": str,
    "storageClass": str,
    "labels": dict,
    "iamConfiguration": dict,
    "softDeletePolicy": dict,
    "cors": list,
    "website": dict,
    "rpo": str,
    "customPlacementConfig": dict,
}
_BUCKET_OUTPUT = frozenset(
    [
        "kind",
        "id",
        "name",
        "selfLink",
        "projectNumber",
        "timeCreated",
        "updated",
        "metageneration",
        "generation",
        "etag",
        "locationType",
        "owner",
        "satisfiesPZS",
        "satisfiesPZI",
        "hardDeleteTime",
        "softDeleteTime",
        "timeDeleted",
    ]
)
_BUCKET_LEFT_OUT = {
    "acl": "access control lists; use uniform bucket-level access",
    "defaultObjectAcl": "access control lists of new objects",
    "versioning": "object versioning",
    "retentionPolicy": "retention",
    "objectRetention": "retention",
    "defaultEventBasedHold": "holds",
    "lifecycle": "lifecycle rules",
    "logging": "access logs",
    "billing": "requester pays",
    "encryption": "customer-managed encryption keys",
    "autoclass": "Autoclass",
    "hierarchicalNamespace": "hierarchical namespaces",
    "ipFilter": "IP filters",
}
_OBJECT_FIELDS: Mapping[str, type] = {
    "contentType": str,
    "contentEncoding": str,
    "contentDisposition": str,
    "contentLanguage": str,
    "cacheControl": str,
    "customTime": str,
    "metadata": dict,
    "storageClass": str,
}
_OBJECT_OUTPUT = frozenset(
    [
        "kind",
        "id",
        "name",
        "bucket",
        "generation",
        "metageneration",
        "size",
        "md5Hash",
        "crc32c",
        "etag",
        "selfLink",
        "mediaLink",
        "timeCreated",
        "updated",
        "timeStorageClassUpdated",
        "timeFinalized",
        "timeDeleted",
        "componentCount",
        "owner",
        "softDeleteTime",
        "hardDeleteTime",
    ]
)
_OBJECT_LEFT_OUT = {
    "acl": "access control lists; use uniform bucket-level access",
    "eventBasedHold": "holds",
    "temporaryHold": "holds",
    "retention": "retention",
    "retentionExpirationTime": "retention",
    "kmsKeyName": "customer-managed encryption keys",
    "customerEncryption": "encryption keys that clients supply",
    "contexts": "object contexts",
}


def of_bucket(bucket: Bucket, project_number: str, base: str) -> dict[str, Any]:
    """A bucket; ``base`` is scheme and host for its links."""
    location = str(bucket.settings["location"])
    iam = dict(bucket.settings.get("iamConfiguration") or {})
    uniform = {"enabled": iam.get("uniformBucketLevelAccess", {}).get("enabled") is True}
    iam = {
        "publicAccessPrevention": "inherited",
        **iam,
        "uniformBucketLevelAccess": uniform,
        "bucketPolicyOnly": uniform,
    }
    multi = location in _MULTI_REGIONS
    kind = "multi-region" if multi else "dual-region" if location in _DUAL_REGIONS else "region"
    created = instant(bucket.created)
    return {
        "kind": "storage#bucket",
        "selfLink": f"{base}/storage/v1/b/{bucket.name}",
        "id": bucket.name,
        "name": bucket.name,
        "projectNumber": project_number,
        "metageneration": str(bucket.metageneration),
        "storageClass": _DEFAULT_CLASS,
        "softDeletePolicy": {**_SOFT_DELETE, "effectiveTime": created},
        **({"rpo": "DEFAULT"} if kind != "region" else {}),
        **bucket.settings,
        "locationType": kind,
        "iamConfiguration": iam,
        "etag": bucket_etag(bucket),
        "timeCreated": created,
        "updated": instant(bucket.updated),
    }


def bucket_etag(bucket: Bucket) -> str:
    """It changes with the settings."""
    return etag(bucket.metageneration, bucket.metageneration)


def of_object(found: Object, base: str) -> dict[str, Any]:
    """An object; ``base`` is scheme and host for its links."""
    path = f"b/{found.bucket}/o/{quote(found.name, safe='')}"
    created = instant(found.created)
    shown = {
        "kind": "storage#object",
        "id": f"{found.bucket}/{found.name}/{found.generation}",
        "selfLink": f"{base}/storage/v1/{path}",
        "mediaLink": f"{base}/download/storage/v1/{path}?generation={found.generation}&alt=media",
        "name": found.name,
        "bucket": found.bucket,
        "generation": str(found.generation),
        "metageneration": str(found.metageneration),
        "storageClass": _DEFAULT_CLASS,
        "size": str(found.size),
        "crc32c": found.crc32c,
        **({"md5Hash": found.md5} if found.md5 else {}),
        **({"componentCount": found.components} if found.components else {}),
        "etag": found.etag,
        "timeCreated": created,
        "updated": instant(found.updated),
        "timeStorageClassUpdated": created,
        "timeFinalized": created,
    }
    return {**shown, **found.fields}


def bucket_settings(body: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a bucket after ``body`` was merged into them, member by member; null removes.

    Raises:
        NotEmulated: a setting would change what the service does.
    """
    _check(body, _BUCKET_SETTINGS, _BUCKET_OUTPUT, _BUCKET_LEFT_OUT)
    given = {key: value for key, value in body.items() if key in _BUCKET_SETTINGS}
    merged = _merged(before, given)
    _check_class(merged)
    uniform = merged.get("iamConfiguration", {}).get("uniformBucketLevelAccess", {})
    if not isinstance(uniform, dict):
        raise Invalid("Invalid value for uniformBucketLevelAccess.", "iamConfiguration")
    location = given.get("location", before.get("location"))
    if "location" in before and str(location).upper() != before["location"]:
        raise Invalid("The location of a bucket cannot be changed.", "location")
    location = str(merged.get("location") or "US").upper()
    if location not in _MULTI_REGIONS | _DUAL_REGIONS and not _REGION.fullmatch(location):
        text = "The specified location constraint is not valid."
        raise Invalid(text, "location", code="InvalidLocationConstraint")
    return {**merged, "location": location}


def object_fields(body: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an object after ``body`` was merged into them; null removes.

    Raises:
        NotEmulated: a field would change what the service does.
        Invalid: metadata that are no texts.
    """
    _check(body, _OBJECT_FIELDS, _OBJECT_OUTPUT, _OBJECT_LEFT_OUT)
    merged = _merged(before, {key: value for key, value in body.items() if key in _OBJECT_FIELDS})
    _check_class(merged)
    metadata = merged.get("metadata", {})
    if not all(isinstance(value, str) for value in metadata.values()):
        raise Invalid("Invalid value for metadata: expected strings.", "metadata")
    return merged


def _check_class(settings: Mapping[str, Any]) -> None:
    if settings.get("storageClass", _DEFAULT_CLASS) not in _CLASSES:
        text = "The specified storage class is not valid."
        raise Invalid(text, "storageClass", code="InvalidStorageClass")


def _check(
    body: Mapping[str, Any], kept: Mapping[str, type], output: frozenset[str], left_out: Mapping[str, str]
) -> None:
    for key, value in body.items():
        if key in left_out and _asks(value):
            raise NotEmulated(left_out[key])
        if key not in left_out and key not in kept and key not in output and _asks(value):
            raise NotEmulated(f"the setting {key}")
        if key in kept and value is not None and not isinstance(value, kept[key]):
            raise Invalid(f"Invalid value for {key}.", key)


def _asks(value: Any) -> bool:
    """Whether a value asks for something: not one that is empty, false, or made of such."""
    if isinstance(value, Mapping):
        return any(_asks(one) for one in value.values())
    return bool(value)


def _merged(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """As in https://www.rfc-editor.org/rfc/rfc7396."""
    result = dict(before)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = _merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result
