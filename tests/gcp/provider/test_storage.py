"""Objects: conditions, pages, large files, buckets."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cloudops_vertex import storage as module
from cloudops_vertex.errors import Refused
from cloudops_vertex.names import Place
from cloudops_vertex.storage import Storage

from .google import BUCKET, FakeClient, Google

B = Place("b", "")


@pytest.fixture
def google() -> Google:
    return Google(buckets={"b": {}})


def storage(google: Google, **settings: Any) -> Storage:
    return Storage(FakeClient(google, **settings))


def test_conditions(google: Google) -> None:
    found = storage(google)
    first = found.put(B / "x", b"1", if_generation=0)
    with pytest.raises(Refused):
        found.put(B / "x", b"2", if_generation=0)
    version = found.read(B / "x")
    assert version is not None
    assert (version.content, version.generation) == (b"1", first)
    second = found.put(B / "x", b"2", if_generation=first)
    found.delete(B / "x", if_generation=first)
    assert found.get(B / "x") == b"2"
    found.delete(B / "x", if_generation=second)
    found.delete(B / "x", if_generation=second)
    assert found.read(B / "x") is None


def test_listings_go_through_all_pages(google: Google) -> None:
    for number in range(8):
        google.put(f"gs://b/d/{number}", b"x" * number)
    google.put("gs://b/d2/other", b"")
    found = storage(google)
    assert dict(found.sizes(B / "d")) == {str(number): number for number in range(8)}
    assert found.holds(B / "d")
    assert not found.holds(B / "none")
    assert not found.holds(Place("gone", "d"))
    assert found.prefixes(B) == ["d", "d2"]
    assert found.prefixes(Place("gone", "d")) == []
    found.delete_all(B / "d")
    found.delete_all(Place("gone", "d"))
    assert list(google.buckets["b"]) == ["d2/other"]


def test_what_is_there_is_not_sent_again(google: Google, tmp_path: Path) -> None:
    files = {}
    for name in ("a", "deep/b"):
        files[name] = tmp_path / name
        files[name].parent.mkdir(exist_ok=True)
        files[name].write_text(name)
    found = storage(google)
    found.upload_all(B / "d", files)
    before = len(google.calls)
    found.upload_all(B / "d", files)
    assert google.calls[before:] == ["storage.objects.list"]
    assert found.get(B / "d/deep/b") == b"deep/b"


def test_a_large_file_is_sent_in_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_PART", 4)
    sent: list[tuple[str, str, bytes]] = []

    class Client(FakeClient):
        def request(self, call: str, method: str, url: str, **given: Any) -> Any:
            sent.append((method, given.get("headers", {}).get("Content-Range", ""), given.get("data", b"")))
            assert method == "POST" or (url == "https://upload/session" and given["fine"] == (308,))
            return SimpleNamespace(headers={"Location": "https://upload/session"})

    (tmp_path / "f").write_bytes(b"0123456789")
    Storage(Client(Google())).upload(B / "f", tmp_path / "f")
    assert sent == [
        ("POST", "", b""),
        ("PUT", "bytes 0-3/10", b"0123"),
        ("PUT", "bytes 4-7/10", b"4567"),
        ("PUT", "bytes 8-9/10", b"89"),
    ]


def test_a_bucket_is_created_once_closed_to_the_public(google: Google) -> None:
    bodies: list[Any] = []

    class Client(FakeClient):
        def request(self, call: str, method: str, url: str, **given: Any) -> Any:
            if call == "storage.buckets.insert":
                bodies.append(given["json"])
            return super().request(call, method, url, **given)

    found = Storage(Client(google, kms_key="projects/p/locations/l/keyRings/r/cryptoKeys/k"))
    found.ensure(BUCKET)
    found.ensure(BUCKET)
    (body,) = bodies
    assert body["location"] == "US-CENTRAL1"
    assert body["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert body["encryption"] == {"defaultKmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}
    assert BUCKET in google.buckets


def test_a_named_bucket_may_be_any_that_can_be_read(google: Google) -> None:
    google.foreign.add("b")
    found = Storage(FakeClient(google, bucket="bucket-of-others"))
    assert not found.has_bucket("bucket-of-others")
    google.buckets["bucket-of-others"] = {}
    google.foreign.add("bucket-of-others")
    assert found.has_bucket("bucket-of-others")


def test_what_is_written_has_the_key_of_the_target(google: Google) -> None:
    asked: list[Any] = []

    class Client(FakeClient):
        def request(self, call: str, method: str, url: str, **given: Any) -> Any:
            asked.append(given["params"])
            return super().request(call, method, url, **given)

    key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    Storage(Client(google, kms_key=key)).put(B / "x", b"")
    assert asked[0]["kmsKeyName"] == key
