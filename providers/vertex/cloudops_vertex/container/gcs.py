"""Cloud Storage and Secret Manager from within a container, with the token of the metadata server.

Standard library only; Python 3.9. https://cloud.google.com/storage/docs/json_api/v1
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Callable, Optional, TypeVar, Union
from urllib.parse import quote, urlencode

_T = TypeVar("_T")
_PARALLEL = 16
#: Bytes of one part of an upload (a multiple of 256 KiB), and above what size a file is sent in parts.
_PART = 64 << 20
_TRIES = 6


class Refused(RuntimeError):
    """An answer that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Google:
    """Calls to Google's APIs as the service account of this machine.

    Args:
        kms_key: what new objects are encrypted with; empty for the bucket's default.
    """

    def __init__(self, kms_key: str = "", environ: Mapping[str, str] = os.environ) -> None:
        self._metadata = environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
        self._storage = environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
        self._key = {"kmsKeyName": kms_key} if kms_key else {}
        self._token, self._until = "", 0.0

    def get(self, bucket: str, key: str) -> Optional[bytes]:
        """The content of an object, or None."""
        try:
            return self._call("GET", self._object(bucket, key) + "?alt=media", then=lambda answer: bytes(answer.read()))
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Write an object's content to ``path``; that file is whole or not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".cloudops-part")

        def save(answer: IO[bytes]) -> None:
            with open(partial, "wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)

        self._call("GET", self._object(bucket, key) + "?alt=media", then=save)
        os.replace(partial, path)

    def put(self, bucket: str, key: str, content: bytes, *, new: bool = False) -> bool:
        """Write an object; with ``new`` only where there is none, and whether that was so."""
        asked = {"uploadType": "media", "name": key, **self._key, **({"ifGenerationMatch": "0"} if new else {})}
        try:
            self._call("POST", self._uploads(bucket, asked), content, {"Content-Type": "application/octet-stream"})
        except Refused as error:
            if new and error.status == 412:
                return False
            raise
        return True

    def upload(self, bucket: str, key: str, path: Path) -> None:
        """Write the content of a file; what grows meanwhile is cut."""
        size = path.stat().st_size
        if size <= _PART:
            with open(path, "rb") as file:
                self.put(bucket, key, file.read(size))
            return
        session = self._call(
            "POST",
            self._uploads(bucket, {"uploadType": "resumable", "name": key, **self._key}),
            b"",
            {"X-Upload-Content-Length": str(size)},
            then=lambda answer: answer.headers["Location"],
        )
        with open(path, "rb") as file:
            for start in range(0, size, _PART):
                part = file.read(min(_PART, size - start))
                span = "bytes {}-{}/{}".format(start, start + len(part) - 1, size)
                self._call("PUT", session, part, {"Content-Range": span}, fine=(308,))

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; silent when it is gone."""
        try:
            self._call("DELETE", self._object(bucket, key))
        except Refused as error:
            if error.status != 404:
                raise

    def names(self, bucket: str, prefix: str) -> Iterator[str]:
        """The names of the objects that begin with ``prefix``, in order."""
        asked = {"prefix": prefix, "fields": "items(name),nextPageToken"}
        while True:
            page = self._json("GET", "{}/storage/v1/b/{}/o?{}".format(self._storage, bucket, urlencode(asked)))
            for item in page.get("items", ()):
                yield item["name"]
            if not page.get("nextPageToken"):
                return
            asked["pageToken"] = page["nextPageToken"]

    def download_all(self, bucket: str, prefix: str, folder: Path, names: Optional[Iterable[str]] = None) -> int:
        """Copy the objects below ``prefix`` (or those of ``names`` below it) to a folder; how many those were."""
        found = self.names(bucket, prefix) if names is None else (prefix + name for name in names)
        keys = [key for key in found if not key.endswith("/")]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(lambda key: self.download(bucket, key, _inside(folder, key[len(prefix) :])), keys))
        return len(keys)

    def upload_all(self, folder: Path, bucket: str, prefix: str) -> None:
        """Copy every file of a folder below ``prefix``."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(lambda path: self.upload(bucket, prefix + path.relative_to(folder).as_posix(), path), files))

    def secret(self, url: str) -> dict[str, str]:
        """The variables that a secret of Secret Manager holds; ``url`` is that of the secret."""
        try:
            answer = self._json("GET", url + "/versions/latest:access")
            return dict(json.loads(base64.b64decode(answer["payload"]["data"])))
        except Refused as error:
            hint = "; the service account of the job needs secretmanager.versions.access" if error.status == 403 else ""
            raise RuntimeError(
                "the secret {} cannot be read: {}{}".format(url.rpartition("/")[2], error, hint)
            ) from error

    def _object(self, bucket: str, key: str) -> str:
        return "{}/storage/v1/b/{}/o/{}".format(self._storage, bucket, quote(key, safe=""))

    def _uploads(self, bucket: str, asked: Mapping[str, str]) -> str:
        return "{}/upload/storage/v1/b/{}/o?{}".format(self._storage, bucket, urlencode(asked))

    def _json(self, method: str, url: str) -> dict[str, Any]:
        return dict(self._call(method, url, then=json.load))

    def _call(
        self,
        method: str,
        url: str,
        body: Optional[bytes] = None,
        headers: Optional[Mapping[str, str]] = None,
        *,
        then: Callable[[Any], _T] = lambda answer: answer.read(),
        fine: tuple[int, ...] = (),
    ) -> _T:
        """What ``then`` makes of the answer; a call that may succeed later is repeated.

        Raises:
            Refused: the answer is an error, and not one of ``fine``.
        """
        for number in range(_TRIES):
            try:
                given = {"Authorization": "Bearer " + self._bearer(), **(headers or {})}
                asked = urllib.request.Request(url, body, given, method=method)
                with urllib.request.urlopen(asked, timeout=120) as answer:
                    return then(answer)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code in fine:
                        return then(error)
                    last: Union[Refused, OSError] = Refused(error.code, _message(error))
                if error.code == 401:
                    self._until = 0.0
                elif error.code not in (408, 429) and error.code < 500:
                    raise last from None
            except OSError as error:  # no answer, or the end of one
                last = error
            if number + 1 < _TRIES:
                time.sleep(min(8.0, 0.2 * 2**number))
        raise last

    def _bearer(self) -> str:
        if time.monotonic() > self._until:
            url = "http://{}/computeMetadata/v1/instance/service-accounts/default/token".format(self._metadata)
            asked = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
            with urllib.request.urlopen(asked, timeout=30) as answer:
                found = json.load(answer)
            self._token, self._until = found["access_token"], time.monotonic() + found.get("expires_in", 0) - 60
        return self._token


def _inside(folder: Path, name: str) -> Path:
    """Where an object goes; never out of the folder."""
    path = Path(os.path.normpath(folder / name.lstrip("/")))
    if folder not in path.parents:
        raise RuntimeError("the object {!r} has a name that leads out of its folder".format(name))
    return path


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return " ".join(str(json.loads(error.read())["error"]["message"]).split())
    except (ValueError, KeyError, TypeError, OSError):
        return "HTTP {} {}".format(error.code, error.reason)
