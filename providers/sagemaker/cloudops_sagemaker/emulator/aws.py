"""What SageMaker needs of the services around it: objects in S3 and roles in IAM, straight from moto's state.

moto is imported here and nowhere else in the emulator but in ``moto_apps`` and ``sinks``.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .operations import invalid

if TYPE_CHECKING:
    from .region import Region

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Object:
    """An object in S3; ``size`` in bytes."""

    bucket: str
    key: str
    size: int

    @property
    def uri(self) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Credentials:
    """Those of a role that a job has."""

    key_id: str
    secret: str
    token: str


def split(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of ``s3://bucket/key`` or ``https://s3.../bucket/key``.

    Raises:
        ServiceError: it is no such address.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "https":
        rest = rest.partition("/")[2]
    bucket, _, key = rest.partition("/")
    if scheme not in ("s3", "https") or not bucket:
        raise invalid(f"{uri!r} is not an address in S3; expected s3://bucket/key")
    return bucket, key


def bucket_region(region: Region, bucket: str) -> str | None:
    """The region of a bucket, None where there is no such bucket."""
    found = _buckets(region).get(bucket)
    return None if found is None else str(found.region_name)


def objects(region: Region, uri: str) -> list[Object]:
    """The objects whose key begins with what ``uri`` says, by key; none where the bucket does not exist."""
    bucket, prefix = split(uri)
    found = _buckets(region).get(bucket)
    keys = [] if found is None else sorted(name for name in list(found.keys) if name.startswith(prefix))
    sizes = [(name, _latest(found, name)) for name in keys]
    return [Object(bucket, name, int(key.contentsize)) for name, key in sizes if key is not None]


def exists(region: Region, uri: str) -> bool:
    """Whether there is an object of exactly that key."""
    bucket, key = split(uri)
    return _latest(_buckets(region).get(bucket), key) is not None


def read(region: Region, uri: str) -> bytes:
    """The content of an object.

    Raises:
        FileNotFoundError: there is none.
    """
    bucket, key = split(uri)
    found = _latest(_buckets(region).get(bucket), key)
    if found is None:
        raise FileNotFoundError(f"there is no object {uri}")
    return bytes(found.value)


def download(region: Region, source: Object, target: Path) -> None:
    """Write an object to a file, block by block.

    Raises:
        FileNotFoundError: it is gone.
    """
    found = _latest(_buckets(region).get(source.bucket), source.key)
    if found is None:
        raise FileNotFoundError(f"there is no object {source.uri}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for block in _blocks(found):
            file.write(block)


def write(region: Region, uri: str, data: bytes, kms_key: str | None = None) -> None:
    """Put an object; with ``kms_key`` it says that it is encrypted with that.

    Raises:
        FileNotFoundError: there is no such bucket.
    """
    bucket, key = split(uri)
    _existing(region, bucket)
    _s3(region).put_object(bucket, key, data, **_encrypted(kms_key))


def upload(region: Region, source: Path, uri: str, kms_key: str | None = None) -> None:
    """Put the content of a file, block by block; with ``kms_key`` the object says that it is encrypted with that.

    Raises:
        FileNotFoundError: there is no such bucket.
    """
    bucket, key = split(uri)
    _existing(region, bucket)
    with source.open("rb") as file:
        _fill(_s3(region).put_object(bucket, key, b"", **_encrypted(kms_key)), file)


def _encrypted(kms_key: str | None) -> dict[str, Any]:
    return {"encryption": "aws:kms", "kms_key_id": kms_key} if kms_key else {}


def delete(region: Region, uri: str) -> None:
    """Remove an object; silent when it is gone."""
    bucket, key = split(uri)
    if _latest(_buckets(region).get(bucket), key) is not None:
        _s3(region).delete_object(bucket, key)


def check_role(region: Region, arn: str) -> None:
    """Have the role that ``arn`` names exist and trust SageMaker.

    Raises:
        ServiceError: it does not, in the service's own words.
    """
    role = _role(region, arn)
    if role is None or not _trusts(role.assume_role_policy_document):
        raise invalid(
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def assume(region: Region, role: str, session: str) -> Credentials:
    """Credentials of a role, by which the call log tells what a job did."""
    from moto.sts.models import sts_backends

    backend = sts_backends[region.account][region.partition]
    made = backend.assume_role(region.name, session, role, "", 3600, "")
    found = Credentials(str(made.access_key_id), str(made.secret_access_key), str(made.session_token))
    region.site.introduce(found.key_id, role)
    return found


def _s3(region: Region) -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[region.account][region.partition]


def _buckets(region: Region) -> Any:
    return _s3(region).buckets


def _existing(region: Region, bucket: str) -> Any:
    found = _buckets(region).get(bucket)
    if found is None:
        raise FileNotFoundError(f"there is no bucket {bucket}")
    return found


def _latest(bucket: Any, key: str) -> Any:
    """moto's object of that key, None where there is none or it is deleted."""
    from moto.s3.models import FakeKey

    found = None if bucket is None else bucket.keys.get(key)
    return found if isinstance(found, FakeKey) else None


def _blocks(key: Any) -> Iterator[bytes]:
    position = 0
    while True:
        with key.lock:  # others read the same file, each from a place of its own
            key._value_buffer.seek(position)
            block = key._value_buffer.read(_BLOCK)
        if not block:
            return
        position += len(block)
        yield bytes(block)


def _fill(key: Any, source: IO[bytes]) -> None:
    """Give an object that was just made its content, which is never in memory as a whole."""
    digest = hashlib.md5(usedforsecurity=False)
    buffer = tempfile.SpooledTemporaryFile(_BLOCK)  # noqa: SIM115 - it belongs to the object
    while block := source.read(_BLOCK):
        digest.update(block)
        buffer.write(block)
    size = buffer.tell()
    with key.lock:
        old, key._value_buffer = key._value_buffer, buffer
        key.contentsize, key._etag = size, digest.hexdigest()
    old.close()


def _role(region: Region, arn: str) -> Any:
    from moto.iam.models import iam_backends

    account = arn.split(":")[4] if arn.count(":") >= 5 else region.account
    roles = list(iam_backends[account][region.partition].roles.values())
    return next((role for role in roles if role.arn == arn), None)


def _trusts(document: str) -> bool:
    """Whether a trust policy lets SageMaker assume the role."""
    try:
        statements = json.loads(document)["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    allowed = False
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else [principal]
        names = [services] if isinstance(services, str) else services
        actions = statement.get("Action", [])
        acts = [actions] if isinstance(actions, str) else actions
        if {"sagemaker.amazonaws.com", "*"} & set(names) and {"sts:AssumeRole", "sts:*", "*"} & set(acts):
            if statement.get("Effect") == "Deny":
                return False
            allowed = True
    return allowed


__all__ = [
    "Credentials",
    "Object",
    "assume",
    "bucket_region",
    "check_role",
    "delete",
    "download",
    "exists",
    "objects",
    "read",
    "split",
    "upload",
    "write",
]
