"""Files in Cloud Storage, of an offline cloud or of the project that the environment leads to."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cloudops_vertex.names import Place

if TYPE_CHECKING:
    from cloudops_vertex.storage import Storage


@contextlib.contextmanager
def in_gcs(files: Mapping[str, str], storage: Storage, bucket: str) -> Iterator[str]:
    """The files as objects below a new prefix, which is given, and holds nothing at the end."""
    place = Place(bucket, f"contract-{uuid.uuid4().hex[:8]}")
    try:
        for name, text in files.items():
            storage.put(place / name, text.encode())
        yield f"{place.uri}/"
    finally:
        storage.delete_all(place)
