"""Objects in the bucket: put once, listed, deleted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .client import PARALLEL
from .errors import is_kind

if TYPE_CHECKING:
    from .client import Client
    from .names import Place

#: Above this, an upload is sent in parts.
_PARTS = 64 << 20


class Storage:
    """The bucket of a target, and any other that a URI names."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ensured: set[str] = set()

    def ensure(self, bucket: str) -> None:
        """Create the bucket unless it is there, closed to the public; as the SDK of SageMaker does."""
        if bucket in self._ensured:
            return
        if not self.has_bucket(bucket):
            region = self._client.region
            place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            try:
                self._client.s3.create_bucket(Bucket=bucket, **place)
            except Exception as error:
                if not _created_meanwhile(error):
                    raise
            closed = dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
            )
            self._client.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=closed)
        self._ensured.add(bucket)

    def has_bucket(self, bucket: str) -> bool:
        """Whether the bucket exists and may be used."""
        from cloudops.errors import NotFound

        try:
            self._client.s3.head_bucket(Bucket=bucket)
        except Exception as error:
            if is_kind(error, NotFound):
                return False
            raise
        return True

    def region(self, bucket: str) -> str:
        """Where a bucket is that exists; empty where that is not told."""
        return str(self._client.s3.head_bucket(Bucket=bucket).get("BucketRegion", ""))

    def put(self, place: Place, body: bytes) -> None:
        """Write one object."""
        self._client.s3.put_object(Bucket=place.bucket, Key=place.key, Body=body, **self.encryption())

    def upload(self, place: Place, path: Path) -> None:
        """Write the content of a file."""
        if os.path.getsize(path) < _PARTS:
            with open(path, "rb") as file:
                self._client.s3.put_object(Bucket=place.bucket, Key=place.key, Body=file, **self.encryption())
            return
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(multipart_chunksize=16 << 20, max_concurrency=8)
        extra = self.encryption()
        self._client.s3.upload_file(str(path), place.bucket, place.key, ExtraArgs=extra or None, Config=config)

    def upload_all(self, place: Place, files: Mapping[str, Path]) -> None:
        """Have just these files below ``place``, whose name follows from their content: what is there is not sent."""
        there = dict(self.sizes(place))
        missing = {name: path for name, path in files.items() if there.get(name) != os.path.getsize(path)}
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda item: self.upload(place / item[0], item[1]), missing.items()))

    def get(self, place: Place) -> bytes | None:
        """The content of an object, or None."""
        from cloudops.errors import NotFound

        try:
            return bytes(self._client.s3.get_object(Bucket=place.bucket, Key=place.key)["Body"].read())
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise

    def size(self, place: Place) -> int | None:
        """The size of an object, or None where there is none."""
        from cloudops.errors import NotFound

        try:
            return int(self._client.s3.head_object(Bucket=place.bucket, Key=place.key)["ContentLength"])
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise

    def sizes(self, place: Place) -> Iterator[tuple[str, int]]:
        """Name below ``place`` and size of each object."""
        prefix = f"{place.key}/" if place.key else ""
        for item in self.objects(place):
            yield item["Key"][len(prefix) :], item["Size"]

    def objects(self, place: Place) -> Iterator[dict[str, Any]]:
        """The objects below ``place``, in the order of their keys."""
        prefix = f"{place.key}/" if place.key else ""
        for page in self._client.s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=prefix):
            yield from page.get("Contents", ())

    def holds(self, place: Place) -> bool:
        """Whether there is an object below ``place``, whose bucket exists."""
        return next(self.objects(place), None) is not None

    def prefixes(self, place: Place) -> list[str]:
        """The names of the folders directly below ``place``; none where the bucket is not there."""
        from cloudops.errors import NotFound

        pages = self._client.s3.get_paginator("list_objects_v2").paginate(
            Bucket=place.bucket, Prefix=f"{place.key}/", Delimiter="/"
        )
        try:
            found = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]
        except Exception as error:
            if is_kind(error, NotFound):
                return []
            raise
        return [prefix.rstrip("/").rpartition("/")[2] for prefix in found]

    def delete_all(self, place: Place) -> None:
        """Delete every object below ``place``; silent where there is none, the bucket included."""
        from cloudops.errors import NotFound

        try:
            for keys in _batches((item["Key"] for item in self.objects(place)), 1000):
                answer = self._client.s3.delete_objects(
                    Bucket=place.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                )
                _raise_first(answer.get("Errors", ()), place)
        except Exception as error:
            if not is_kind(error, NotFound):
                raise

    def encryption(self) -> dict[str, str]:
        """How what is written is encrypted: by the key of the target, else as the bucket says."""
        key = self._client.settings.output_kms_key
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}


def _created_meanwhile(error: Exception) -> bool:
    from .errors import code_of

    return code_of(error) in ("BucketAlreadyOwnedByYou",)


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _raise_first(failures: Iterable[Mapping[str, str]], place: Place) -> None:
    from .errors import classified

    for failure in failures:
        code, message = failure.get("Code", ""), failure.get("Message", "")
        kind, hint = classified(code, message)
        text = f"{place.uri} cannot be deleted: {message or code}"
        raise kind(text, code=code, provider="sagemaker", hint=hint)
