"""What a training job leaves in S3: artifacts as archives or files, and checkpoints as they are written."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import aws
from .operations import ServiceError

if TYPE_CHECKING:
    from .region import Region


class UploadError(Exception):
    """Artifacts that could not be put where they were to go."""


def artifact_uri(config: Mapping[str, Any], job: str) -> str:
    """Where the model of a job is to be found."""
    base = f"{config['S3OutputPath'].rstrip('/')}/{job}/output"
    return f"{base}/model" if config.get("CompressionType") == "NONE" else f"{base}/model.tar.gz"


def upload_artifacts(
    region: Region,
    config: Mapping[str, Any],
    job: str,
    roots: Sequence[Path],
    *,
    model: bool,
    partial: bool = False,
) -> None:
    """Put ``model`` and ``output/data`` of all hosts into S3.

    Args:
        region: whose buckets.
        config: the job's OutputDataConfig.
        job: its name.
        roots: the ``/opt/ml`` of each host.
        model: whether the model is wanted, too (not that of a job that failed).
        partial: whether half of it is to be lost (a fault).

    Raises:
        UploadError: there is no such bucket, or a file cannot be read.
    """
    base = f"{config['S3OutputPath'].rstrip('/')}/{job}/output"
    plain, key = config.get("CompressionType") == "NONE", config.get("KmsKeyId") or None
    wanted = [("model", [root / "model" for root in roots])] if model else []
    outputs = [root / "output" / "data" for root in roots]
    if any(_files(folder) for folder in outputs):
        wanted.append(("output", outputs))
    try:
        for name, folders in wanted:
            if plain:
                _upload_files(region, folders, f"{base}/{name}", key, partial=partial)
            else:
                _upload_archive(region, folders, f"{base}/{name}.tar.gz", key, partial=partial)
    except (OSError, ServiceError) as error:
        raise UploadError(f"Artifact upload failed: {error}") from error


class Checkpoints:
    """A folder that is kept the same as a prefix in S3.

    Args:
        region: whose buckets.
        uri: the prefix.
        folders: of each host.
    """

    def __init__(self, region: Region, uri: str, folders: Sequence[Path]) -> None:
        self._region, self._uri, self._folders = region, uri.rstrip("/"), folders
        self._seen: dict[Path, tuple[int, int]] = {}

    def down(self) -> None:
        """Fetch what is there to all hosts. Raises OSError."""
        prefix = aws.split(self._uri + "/")[1]
        for one in aws.objects(self._region, self._uri + "/"):
            if one.key.endswith("/"):
                continue
            for folder in self._folders:
                aws.download(self._region, one, folder / one.key[len(prefix) :])
        for folder in self._folders:
            self._seen |= dict(_stamps(folder))

    def up(self, *, partial: bool = False) -> None:
        """Put what is new or was changed since the last time. Raises OSError."""
        for folder in self._folders:
            changed = [(path, stamp) for path, stamp in _stamps(folder) if self._seen.get(path) != stamp]
            for path, stamp in changed[: len(changed) // 2] if partial else changed:
                try:
                    aws.upload(self._region, path, f"{self._uri}/{path.relative_to(folder).as_posix()}")
                except FileNotFoundError:
                    if path.exists():
                        raise
                    continue  # a temporary file of the job's
                self._seen[path] = stamp


def _stamps(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    for path in _files(folder):
        try:
            status = path.stat()
        except OSError:
            continue
        yield path, (status.st_mtime_ns, status.st_size)


def _files(folder: Path) -> list[Path]:
    """The files below a folder, links left out that lead elsewhere."""
    found = []
    for base, _, names in os.walk(folder):
        found += [Path(base, name) for name in names if os.path.isfile(os.path.join(base, name))]
    return sorted(found)


def _upload_files(region: Region, folders: Sequence[Path], base: str, key: str | None, *, partial: bool) -> None:
    files = [(path, path.relative_to(folder).as_posix()) for folder in folders for path in _files(folder)]
    for path, name in files[: len(files) // 2] if partial else files:
        aws.upload(region, path, f"{base}/{name}", key)


def _upload_archive(region: Region, folders: Sequence[Path], uri: str, key: str | None, *, partial: bool) -> None:
    with tempfile.NamedTemporaryFile(dir=folders[0].parent) as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
            for folder in folders:
                for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
                    archive.add(entry, entry.name)
        file.flush()
        if partial:
            file.truncate(os.path.getsize(file.name) // 2)
        aws.upload(region, Path(file.name), uri, key)
