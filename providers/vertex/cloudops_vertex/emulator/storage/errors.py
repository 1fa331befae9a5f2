"""What Cloud Storage answers in the place of a result, before it is written as JSON, XML or plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Where(NamedTuple):
    """Which part of a request an error is about: ``header`` or ``parameter``, and its name."""

    kind: str
    name: str


class StorageError(Exception):
    """A refusal.

    Args:
        message: for a person.
        status: of HTTP.
        reason: as the JSON API names it, such as ``notFound``.
        code: as the XML API names it, such as ``NoSuchKey``.
        where: the part of the request that it is about.
        domain: of the reason, as in https://cloud.google.com/storage/docs/json_api/v1/status-codes.
        headers: of the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        reason: str = "invalid",
        code: str = "InvalidArgument",
        where: Where | None = None,
        domain: str = "global",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.reason, self.code = message, status, reason, code
        self.where, self.domain, self.headers = where, domain, dict(headers or {})


class NotFound(StorageError):
    """There is no such bucket, object or upload."""

    def __init__(self, message: str, code: str = "NoSuchKey") -> None:
        super().__init__(message, status=404, reason="notFound", code=code)


class Conflict(StorageError):
    """What is there stands in the way."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, status=409, reason="conflict", code=code)


class PreconditionFailed(StorageError):
    """The object or bucket is not in the state on which the request was made conditional."""

    def __init__(self, header: str = "If-Match") -> None:
        text = "At least one of the pre-conditions you specified did not hold."
        where = Where("header", header)
        super().__init__(text, status=412, reason="conditionNotMet", code="PreconditionFailed", where=where)


class NotModified(StorageError):
    """The reader has this already; the answer has no body."""

    def __init__(self) -> None:
        super().__init__("Not Modified", status=304, reason="notModified", code="NotModified")


class NotEmulated(StorageError):
    """The real service can do this; the offline one would only pretend to."""

    def __init__(self, what: str) -> None:
        text = f"cloudops offline does not emulate {what}"
        super().__init__(text, status=501, reason="notImplemented", code="NotImplemented")


class Invalid(StorageError):
    """A value that makes no sense."""

    def __init__(self, message: str, parameter: str = "", code: str = "InvalidArgument") -> None:
        super().__init__(message, code=code, where=Where("parameter", parameter) if parameter else None)


class Required(StorageError):
    """Something is missing."""

    def __init__(self, parameter: str) -> None:
        super().__init__(f"Required parameter: {parameter}", reason="required", where=Where("parameter", parameter))


class BadDigest(StorageError):
    """The bytes that came are not those of which the client has sent a checksum."""

    def __init__(self, kind: str, given: str, calculated: str) -> None:
        text = f'Provided {kind} "{given}" doesn\'t match calculated {kind} "{calculated}".'
        super().__init__(text, code="BadDigest")


def no_bucket() -> NotFound:
    """The error for a bucket that is not there."""
    return NotFound("The specified bucket does not exist.", "NoSuchBucket")


def no_object(bucket: str, name: str) -> NotFound:
    """The error for an object that is not there."""
    return NotFound(f"No such object: {bucket}/{name}")
