"""What a version is made of: the model's files and the archive that serves them, together below one address.

Vertex AI copies what is there when the model is uploaded, and gives replicas that copy to read.
"""

from __future__ import annotations

import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from cloudops.errors import NotFound
from cloudops.store import inputs

from .client import PARALLEL
from .names import Place
from .registry import artifact
from .runtime import serving_archive

if TYPE_CHECKING:
    from cloudops.provider import DeployRequest

    from .client import Client
    from .serving import Served
    from .storage import Storage

#: The last object that is written: with it a version is complete.
ARCHIVE = "cloudops.zip"


def build(client: Client, storage: Storage, request: DeployRequest, served: Served, version: Place) -> None:
    """Have what a version is made of in its folder ``version``; one that is there is the same one.

    Raises:
        NotFound: the model's files are gone.
    """
    place = artifact(version)
    if storage.size(place / ARCHIVE) is not None:
        return
    _model(client, storage, request.model.location, place / "model")
    storage.put(place / ARCHIVE, serving_archive(files(request, served)))


def files(request: DeployRequest, served: Served) -> dict[str, bytes]:
    """The files of a version's archive beside those that every version has."""
    found = {"inference.json": json.dumps(served.inference).encode()}
    if served.requirements is not None:
        found["requirements.txt"] = f"{served.requirements}\n".encode()
    if request.code is not None:
        with tarfile.open(request.code.archive) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    found[f"code/{member.name}"] = content.read()
    return found


def _model(client: Client, storage: Storage, location: str, target: Place) -> None:
    if location.startswith("gs://"):
        _copied(storage, Place.parse(location), target)
        return
    if "://" in location:
        storage.upload_all(target, inputs.local_files(location, client.root / ".cloudops" / "store"))
        return
    folder = Path(location)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    storage.upload_all(target, found)


def _copied(storage: Storage, source: Place, target: Place) -> None:
    """Have Cloud Storage copy a model that lies there."""
    there = dict(storage.sizes(target))
    found = dict(storage.sizes(source))
    if not found:
        text = f"the model {source.uri}/ has no object"
        raise NotFound(text, provider="vertex", hint="train it again, or deploy another model")
    missing = [name for name, size in found.items() if there.get(name) != size and not name.endswith("/")]
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda name: storage.copy(source / name, target / name), missing))
