"""What an endpoint serves: a model's files with ``code/`` beside them, made where they are where that is possible."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.errors import NotFound

from . import archives
from .names import Place
from .runtime import SERVING_FILES, container_file, runtime_archive

if TYPE_CHECKING:
    from cloudops.provider import BatchRequest, DeployRequest

    from .client import Client
    from .storage import Storage

#: A model smaller than this comes through this machine; a larger one is copied by S3, in parts of at most that.
_SMALL, _PART = 16 << 20, 1 << 30
#: The least size of all parts but the last.
_LEAST = 5 << 20


def build(
    client: Client, storage: Storage, request: DeployRequest | BatchRequest, requirements: str | None, target: Place
) -> None:
    """Have the artifact of a version at ``target``; one that is there is the same one.

    Raises:
        NotFound: the model's files are gone.
    """
    if storage.size(target) is not None:
        return
    head = archives.head(code_files(request, requirements))
    location = request.model.location
    if not location.startswith("s3://"):
        _packed(storage, head, Path(location), target)
    elif location.endswith(".tar.gz"):
        _prepended(client, storage, head, Place.parse(location), target)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _download(client, storage, Place.parse(location), Path(folder))
            _packed(storage, head, Path(folder), target)


def code_files(request: DeployRequest | BatchRequest, requirements: str | None) -> dict[str, bytes]:
    """What is added to a model: name in the archive to content."""
    name, runtime = runtime_archive()
    files = {
        "code/inference.py": container_file("inference.py"),
        f"code/_cloudops/{name}": runtime,
        **{f"code/_cloudops/{each}": container_file(each) for each in SERVING_FILES},
    }
    if requirements is not None:
        files["code/requirements.txt"] = f"{requirements}\n".encode()
    if request.code is not None:
        with tarfile.open(request.code.archive) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    files[f"code/_cloudops/code/{member.name}"] = content.read()
    return files


def _packed(storage: Storage, head: bytes, folder: Path, target: Place) -> None:
    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as file:
        file.write(head)
        archives.pack(folder, file)
        file.flush()
        storage.upload(target, Path(file.name))


def _prepended(client: Client, storage: Storage, head: bytes, source: Place, target: Place) -> None:
    size = storage.size(source)
    if size is None:
        text = f"the model's archive {source.uri} does not exist"
        raise NotFound(text, provider="sagemaker", hint="train it again, or deploy another model")
    if size < _SMALL:
        storage.put(target, head + (storage.get(source) or b""))
        return
    _copied(client, storage, archives.padded(head, _LEAST), source, size, target)


def _copied(client: Client, storage: Storage, head: bytes, source: Place, size: int, target: Place) -> None:
    """Put ``head`` before a large archive without moving that through this machine."""
    s3, where = client.s3, {"Bucket": target.bucket, "Key": target.key}
    upload = s3.create_multipart_upload(**where, **storage.encryption())["UploadId"]
    try:
        parts = [s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=head)["ETag"]]
        for start in range(0, size, _PART):
            copied = s3.upload_part_copy(
                **where,
                UploadId=upload,
                PartNumber=len(parts) + 1,
                CopySource={"Bucket": source.bucket, "Key": source.key},
                CopySourceRange=f"bytes={start}-{min(start + _PART, size) - 1}",
            )
            parts.append(copied["CopyPartResult"]["ETag"])
        done: list[dict[str, Any]] = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(parts, 1)]
        s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done})
    except BaseException:
        s3.abort_multipart_upload(**where, UploadId=upload)
        raise


def _download(client: Client, storage: Storage, source: Place, folder: Path) -> None:
    for name, _ in storage.sizes(source):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        client.s3.download_file(source.bucket, f"{source.key}/{name}", str(path))
