"""Objects in the bucket, through the JSON API of Cloud Storage: put once, listed, deleted.

https://cloud.google.com/storage/docs/json_api/v1. Google's own library would cost another 0.2 s of import, and its
uploads of large files are what is written here in a few lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cloudops.errors import AuthError, Conflict, NotFound

from .client import PARALLEL
from .errors import is_kind

if TYPE_CHECKING:
    from .client import Client
    from .names import Place

#: Above this, a file is sent in parts of this size (a multiple of 256 KiB), each of which can be sent again.
_PART = 32 << 20
_CONTENT = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Version:
    """An object's content, and the number of that version for preconditions."""

    content: bytes
    generation: int


class Storage:
    """The bucket of a target, and any other that a URI names."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ensured: set[str] = set()

    @property
    def _host(self) -> str:
        return os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"

    # Buckets

    def ensure(self, bucket: str) -> None:
        """Create the bucket unless it is there, closed to the public.

        Raises:
            AuthError: the bucket of the default name is another project's: whoever has it could read what is written.
        """
        if bucket in self._ensured:
            return
        if not self.has_bucket(bucket):
            self._create(bucket)
        self._ensured.add(bucket)

    def _create(self, bucket: str) -> None:
        document: dict[str, Any] = {
            "name": bucket,
            "location": self._client.location.upper(),
            "iamConfiguration": {
                "uniformBucketLevelAccess": {"enabled": True},
                "publicAccessPrevention": "enforced",
            },
        }
        if self._client.settings.kms_key:
            document["encryption"] = {"defaultKmsKeyName": self._client.settings.kms_key}
        try:
            self._client.request(
                "storage.buckets.insert",
                "POST",
                f"{self._host}/storage/v1/b",
                params={"project": self._client.project},
                json=document,
            )
        except Exception as error:
            if not is_kind(error, Conflict):
                raise
            if not self.has_bucket(bucket):  # names are the whole world's; else it was created meanwhile
                raise taken(bucket) from error

    def has_bucket(self, bucket: str) -> bool:
        """Whether the bucket exists and may be used; that of the default name only where it is this project's.

        Raises:
            AuthError: it exists, and is not the caller's.
        """
        if self._client.settings.bucket is None and bucket == self._client.bucket:
            return self._is_ours(bucket)
        return self.bucket(bucket) is not None

    def bucket(self, bucket: str) -> dict[str, Any] | None:
        """What the service says of a bucket; None where there is none."""
        return self._found("storage.buckets.get", f"{self._host}/storage/v1/b/{bucket}", {"fields": "name,location"})

    def _is_ours(self, bucket: str) -> bool:
        asked = {"project": self._client.project, "prefix": bucket, "fields": "items(name)"}
        answer = self._client.request("storage.buckets.list", "GET", f"{self._host}/storage/v1/b", params=asked)
        return any(item["name"] == bucket for item in answer.json().get("items", ()))

    # Writing

    def put(self, place: Place, body: bytes, *, if_generation: int | None = None) -> int:
        """Write one object and return its generation.

        Args:
            place: the object.
            body: its content.
            if_generation: write only over this version; 0: only where there is none.

        Raises:
            Refused: the precondition does not hold (FAILED_PRECONDITION), or something else.
        """
        asked = {"uploadType": "media", "name": place.key, **self._key(), **_condition(if_generation)}
        answer = self._client.request(
            "storage.objects.insert",
            "POST",
            f"{self._host}/upload/storage/v1/b/{place.bucket}/o",
            params=asked,
            data=body,
            headers=_CONTENT,
            repeat=if_generation is None,
        )
        return int(answer.json().get("generation", 0))

    def upload(self, place: Place, path: Path) -> None:
        """Write the content of a file."""
        size = os.path.getsize(path)
        if size <= _PART:
            self.put(place, path.read_bytes())
            return
        answer = self._client.request(
            "storage.objects.insert",
            "POST",
            f"{self._host}/upload/storage/v1/b/{place.bucket}/o",
            params={"uploadType": "resumable", "name": place.key, **self._key()},
            headers={"X-Upload-Content-Length": str(size)},
        )
        with open(path, "rb") as file:
            for start in range(0, size, _PART):
                part = file.read(_PART)
                span = f"bytes {start}-{start + len(part) - 1}/{size}"
                self._client.request(
                    "storage.objects.insert",
                    "PUT",
                    answer.headers["Location"],
                    data=part,
                    headers={"Content-Range": span},
                    fine=(308,),  # "resume incomplete": the next part, please
                    allow_redirects=False,
                )

    def upload_all(self, place: Place, files: Mapping[str, Path]) -> None:
        """Have just these files below ``place``, whose name follows from their content: what is there is not sent."""
        there = dict(self.sizes(place))
        missing = {name: path for name, path in files.items() if there.get(name) != os.path.getsize(path)}
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda item: self.upload(place / item[0], item[1]), missing.items()))

    def copy(self, source: Place, target: Place) -> None:
        """Have the service copy an object; a large one takes several calls."""
        key = self._client.settings.kms_key
        asked = {"destinationKmsKeyName": key} if key else {}
        url = f"{self._object(source)}/rewriteTo/b/{target.bucket}/o/{quote(target.key, safe='')}"
        while True:
            answer = self._client.request("storage.objects.rewrite", "POST", url, params=asked).json()
            if answer.get("done", True):
                return
            asked["rewriteToken"] = answer["rewriteToken"]

    # Reading

    def get(self, place: Place) -> bytes | None:
        """The content of an object, or None."""
        found = self.read(place)
        return None if found is None else found.content

    def read(self, place: Place) -> Version | None:
        """The content of an object with its generation, or None."""
        try:
            answer = self._client.request("storage.objects.get", "GET", self._object(place), params={"alt": "media"})
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise
        return Version(answer.content, int(answer.headers.get("X-Goog-Generation", 0)))

    def size(self, place: Place) -> int | None:
        """The size of an object, or None where there is none."""
        found = self._found("storage.objects.get", self._object(place), {"fields": "size"})
        return None if found is None else int(found["size"])

    def sizes(self, place: Place) -> Iterator[tuple[str, int]]:
        """Name below ``place`` and size of each object."""
        prefix = f"{place.key}/" if place.key else ""
        for item in self._listed(place.bucket, {"prefix": prefix, "fields": "items(name,size),nextPageToken"}):
            yield item["name"][len(prefix) :], int(item.get("size", 0))

    def holds(self, place: Place) -> bool:
        """Whether there is an object below ``place``; not where its bucket is not there."""
        try:
            return next(self.sizes(place), None) is not None
        except Exception as error:
            if is_kind(error, NotFound):
                return False
            raise

    def prefixes(self, place: Place) -> list[str]:
        """The names of the folders directly below ``place``; none where the bucket is not there."""
        asked = {"prefix": f"{place.key}/" if place.key else "", "delimiter": "/", "fields": "prefixes,nextPageToken"}
        try:
            found = [each for page in self._pages(place.bucket, asked) for each in page.get("prefixes", ())]
        except Exception as error:
            if is_kind(error, NotFound):
                return []
            raise
        return [prefix.rstrip("/").rpartition("/")[2] for prefix in found]

    # Deleting

    def delete(self, place: Place, *, if_generation: int | None = None) -> None:
        """Delete one object (of that version); silent where it is gone, or is another."""
        try:
            self._client.request(
                "storage.objects.delete", "DELETE", self._object(place), params=_condition(if_generation)
            )
        except Exception as error:
            if not is_kind(error, NotFound, Conflict):
                raise

    def delete_all(self, place: Place) -> None:
        """Delete every object below ``place``; silent where there is none, the bucket included."""
        try:
            names = [name for name, _ in self.sizes(place)]
        except Exception as error:
            if is_kind(error, NotFound):
                return
            raise
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda name: self.delete(place / name), names))

    # The service

    def _object(self, place: Place) -> str:
        return f"{self._host}/storage/v1/b/{place.bucket}/o/{quote(place.key, safe='')}"

    def _found(self, call: str, url: str, asked: Mapping[str, str]) -> dict[str, Any] | None:
        try:
            return dict(self._client.request(call, "GET", url, params=asked).json())
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise

    def _listed(self, bucket: str, asked: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        for page in self._pages(bucket, asked):
            yield from page.get("items", ())

    def _pages(self, bucket: str, asked: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        given = dict(asked)
        while True:
            answer = self._client.request(
                "storage.objects.list", "GET", f"{self._host}/storage/v1/b/{bucket}/o", params=given
            )
            page = answer.json()
            yield page
            if not page.get("nextPageToken"):
                return
            given["pageToken"] = page["nextPageToken"]

    def _key(self) -> dict[str, str]:
        """How what is written is encrypted: by the key of the target, else as the bucket says."""
        key = self._client.settings.kms_key
        return {"kmsKeyName": key} if key else {}


def taken(bucket: str) -> AuthError:
    """The error for a bucket of the default name that somebody else has."""
    text = f"the bucket {bucket} exists, and is not this project's"
    return AuthError(text, provider="vertex", hint="set bucket in the target to one that is")


def document(content: bytes) -> dict[str, Any]:
    """A JSON object; an empty one for what is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _condition(generation: int | None) -> dict[str, str]:
    return {} if generation is None else {"ifGenerationMatch": str(generation)}
