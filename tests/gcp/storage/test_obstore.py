"""A client that is not Google's, and speaks the XML API."""

from __future__ import annotations

import os
from typing import Any

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError
from obstore.store import GCSStore

from .serving import TOKEN, Server


@pytest.fixture
def store(server: Server) -> GCSStore:
    options: Any = {"allow_http": True}
    return GCSStore("box", config={"base_url": server.url, "bearer_token": TOKEN}, client_options=options)


def test_objects_live(server: Server, store: GCSStore) -> None:
    obstore.put(store, "a b/c.txt", b"hello", attributes={"Content-Type": "text/plain"}, use_multipart=False)
    assert server.buckets.get("box", "a b/c.txt").content_type == "text/plain"
    assert bytes(obstore.get(store, "a b/c.txt").bytes()) == b"hello"
    assert bytes(obstore.get_range(store, "a b/c.txt", start=1, end=3)) == b"el"
    assert obstore.head(store, "a b/c.txt")["size"] == 5
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "a b/c.txt", b"x", mode="create")
    obstore.copy(store, "a b/c.txt", "d")
    obstore.rename(store, "d", "e")
    assert [one["path"] for page in obstore.list(store) for one in page] == ["a b/c.txt", "e"]
    found = obstore.list_with_delimiter(store)
    assert (list(found["common_prefixes"]), [one["path"] for one in found["objects"]]) == (["a b"], ["e"])
    obstore.delete(store, ["a b/c.txt", "e"])
    with pytest.raises(FileNotFoundError):
        obstore.get(store, "e")


def test_parts_go_up_at_once(server: Server, store: GCSStore) -> None:
    data = os.urandom(12 << 20)
    obstore.put(store, "large", data, use_multipart=True, chunk_size=5 << 20, max_concurrency=3)
    assert server.buckets.read("box", "large") == data
