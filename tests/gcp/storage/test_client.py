"""Google's own client, unmodified."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.storage import transfer_manager
from google.cloud.storage.retry import DEFAULT_RETRY

from .serving import NUMBER, Server, client_of, serving


def test_a_bucket_lives(client: Any) -> None:
    made = client.create_bucket("other-box", location="us-central1")
    assert (made.location, made.location_type, made.project_number) == ("US-CENTRAL1", "region", int(NUMBER))
    assert (made.storage_class, made.iam_configuration.public_access_prevention) == ("STANDARD", "inherited")
    made.labels = {"team": "a", "stage": "dev"}
    made.iam_configuration.uniform_bucket_level_access_enabled = True
    made.patch()
    made.labels = {"team": "b"}
    made.update()
    found = client.get_bucket("other-box")
    assert found.labels == {"team": "b"}
    assert found.iam_configuration.uniform_bucket_level_access_enabled is True
    assert (found.metageneration, found.etag) == (3, made.etag)
    assert [one.name for one in client.list_buckets()] == ["box", "other-box"]
    assert [one.name for one in client.list_buckets(prefix="o", max_results=1)] == ["other-box"]
    found.delete()
    with pytest.raises(exceptions.NotFound, match="The specified bucket does not exist"):
        client.get_bucket("other-box")
    assert client.lookup_bucket("other-box") is None


def test_buckets_are_listed_page_by_page(client: Any) -> None:
    for number in range(5):
        client.create_bucket(f"more-{number}")
    pages = [[one.name for one in page] for page in client.list_buckets(page_size=2).pages]
    assert pages == [["box", "more-0"], ["more-1", "more-2"], ["more-3", "more-4"]]


def test_a_bucket_that_is_there_or_full_is_a_conflict(client: Any, bucket: Any) -> None:
    with pytest.raises(exceptions.Conflict, match="you already own it"):
        client.create_bucket("box")
    bucket.blob("a").upload_from_string("x")
    with pytest.raises(exceptions.Conflict, match="not empty"):
        bucket.delete()
    bucket.delete(force=True)
    assert not bucket.exists()


def test_policies_are_kept(bucket: Any) -> None:
    policy = bucket.get_iam_policy(requested_policy_version=3)
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"user:a@example.com"}})
    bucket.set_iam_policy(policy)
    roles = [binding["role"] for binding in bucket.get_iam_policy().bindings]
    assert roles == ["roles/storage.legacyBucketOwner", "roles/storage.objectViewer"]
    with pytest.raises(exceptions.Conflict, match="concurrent policy changes"):
        bucket.set_iam_policy(policy, retry=None)
    assert bucket.test_iam_permissions(["storage.objects.get"]) == ["storage.objects.get"]


def test_an_object_lives(client: Any, bucket: Any) -> None:
    blob = bucket.blob("a/ü b+%2F.txt")
    blob.metadata, blob.cache_control = {"k": "v"}, "no-cache"
    blob.upload_from_string("hello", content_type="text/plain")
    assert blob.generation
    found = bucket.get_blob("a/ü b+%2F.txt")
    assert (found.size, found.content_type, found.metadata) == (5, "text/plain", {"k": "v"})
    assert (found.cache_control, found.md5_hash, found.crc32c) == ("no-cache", "XUFAKrxLKna5cZ2REBfFkg==", "mnG7TA==")
    assert found.download_as_bytes() == b"hello"
    assert found.download_as_bytes(start=1, end=3) == b"ell"
    assert found.download_as_bytes(start=3) == b"lo"
    found.metadata = {"k": None, "new": "x"}
    found.custom_time = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    found.patch()
    again = bucket.get_blob("a/ü b+%2F.txt")
    assert (again.metadata, again.metageneration, again.generation) == ({"new": "x"}, 2, blob.generation)
    again.content_type = "text/csv"
    again.update()
    assert bucket.get_blob("a/ü b+%2F.txt").content_type == "text/csv"
    again.delete()
    assert not blob.exists()
    assert bucket.get_blob("a/ü b+%2F.txt") is None
    with pytest.raises(exceptions.NotFound, match=r"No such object: box/a/ü b\+%2F.txt"):
        blob.download_as_bytes()


@pytest.mark.parametrize("size", [0, 1, 300_000, 1 << 20])
def test_files_go_up_and_down(bucket: Any, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "up").write_bytes(data)
    bucket.blob("file").upload_from_filename(str(tmp_path / "up"))
    for blob in (bucket.blob("file"), bucket.blob("file", chunk_size=256 << 10)):
        blob.download_to_filename(str(tmp_path / "down"), raw_download=True)
        assert (tmp_path / "down").read_bytes() == data
        assert blob.download_as_bytes(checksum="md5") == data


@pytest.mark.parametrize("size", [0, 1, 256 << 10, (256 << 10) + 1, 1 << 20])
def test_uploads_in_chunks(server: Server, bucket: Any, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "up").write_bytes(data)
    blob = bucket.blob("file", chunk_size=256 << 10)
    blob.upload_from_filename(str(tmp_path / "up"), checksum="crc32c")
    assert (server.buckets.read("box", "file"), blob.size) == (data, size)
    with blob.open("wb", chunk_size=256 << 10) as writer:
        writer.write(data[::-1])
    assert server.buckets.read("box", "file") == data[::-1]


def test_compressed_content_is_left_as_it_is_stored(bucket: Any) -> None:
    blob = bucket.blob("a.gz")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(b"hello" * 100), content_type="text/plain")
    assert blob.download_as_bytes() == b"hello" * 100
    assert blob.download_as_bytes(raw_download=True)[:2] == b"\x1f\x8b"


def test_files_are_written_and_read_like_files(bucket: Any) -> None:
    with bucket.blob("lines").open("w") as file:
        file.write("a\nb\n")
    with bucket.blob("lines").open("r") as file:
        assert file.readlines() == ["a\n", "b\n"]


def test_an_upload_that_was_broken_off_goes_on(server: Server, bucket: Any) -> None:
    data = os.urandom(700_000)
    url = bucket.blob("file").create_resumable_upload_session(content_type="text/plain", size=len(data))
    path = url.removeprefix(server.url)
    reply = server.ask("PUT", path, data[: 512 << 10], {"Content-Range": f"bytes 0-{(512 << 10) - 1}/{len(data)}"})
    assert (reply.status, reply.headers["range"]) == (308, "bytes=0-524287")
    assert server.ask("PUT", path, headers={"Content-Range": "bytes */*"}).headers["range"] == "bytes=0-524287"
    rest = {"Content-Range": f"bytes {512 << 10}-{len(data) - 1}/{len(data)}"}
    made = server.ask("PUT", path, data[512 << 10 :], rest, token=None)
    assert (made.status, made.json["size"], made.json["contentType"]) == (200, "700000", "text/plain")
    assert server.buckets.read("box", "file") == data
    assert server.ask("PUT", path, headers={"Content-Range": "bytes */700000"}).json == made.json


def test_names_are_listed(client: Any, bucket: Any) -> None:
    for name in ("a/1", "a/2", "a/b/3", "a/b/", "c", "d.txt", "é"):
        bucket.blob(name).upload_from_string(name)

    def names(**wanted: Any) -> list[str]:
        return [blob.name for blob in client.list_blobs("box", **wanted)]

    assert names() == ["a/1", "a/2", "a/b/", "a/b/3", "c", "d.txt", "é"]
    assert names(prefix="a/") == ["a/1", "a/2", "a/b/", "a/b/3"]
    assert names(start_offset="a/2", end_offset="c") == ["a/2", "a/b/", "a/b/3"]
    assert names(match_glob="a/*") == ["a/1", "a/2"]
    assert names(match_glob="**/{2,3}") == ["a/2", "a/b/3"]
    assert names(match_glob="[!a].txt") == ["d.txt"]
    assert names(max_results=3) == ["a/1", "a/2", "a/b/"]
    assert names(page_size=2) == names()
    found = client.list_blobs("box", prefix="a/", delimiter="/")
    assert ([blob.name for blob in found], found.prefixes) == (["a/1", "a/2"], {"a/b/"})
    found = client.list_blobs("box", prefix="a/", delimiter="/", include_trailing_delimiter=True)
    assert ([blob.name for blob in found], found.prefixes) == (["a/1", "a/2", "a/b/"], {"a/b/"})
    found = client.list_blobs("box", delimiter="/", page_size=1)
    assert ([blob.name for blob in found], found.prefixes) == (["c", "d.txt", "é"], {"a/"})
    sizes = client.list_blobs("box", prefix="c", fields="items(name,size),nextPageToken")
    assert [(blob.name, blob.size, blob.generation) for blob in sizes] == [("c", 1, None)]


def test_objects_are_composed_copied_rewritten_and_moved(client: Any, bucket: Any) -> None:
    parts = [bucket.blob(name) for name in ("p1", "p2")]
    for part in parts:
        part.upload_from_string(part.name, content_type="text/plain")
    whole = bucket.blob("whole")
    whole.content_type = "text/csv"
    whole.compose(parts, if_generation_match=0)
    assert (whole.download_as_bytes(), whole.component_count, whole.md5_hash) == (b"p1p2", 2, None)
    assert bucket.get_blob("whole").content_type == "text/csv"
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("other").compose(parts, if_source_generation_match=[parts[0].generation, 1])
    with pytest.raises(exceptions.NotFound, match=r"Object nothing \(generation: 0\) not found"):
        bucket.blob("other").compose([bucket.blob("nothing")])
    copied = bucket.copy_blob(parts[0], client.create_bucket("target"), "copied")
    assert (copied.download_as_bytes(), copied.content_type) == (b"p1", "text/plain")
    target = bucket.blob("rewritten")
    assert target.rewrite(whole) == (None, 4, 4)
    assert target.download_as_bytes() == b"p1p2"
    parts[0].update_storage_class("NEARLINE")
    assert bucket.get_blob("p1").storage_class == "NEARLINE"
    moved = bucket.move_blob(parts[1], "moved", if_source_generation_match=parts[1].generation)
    assert (moved.download_as_bytes(), parts[1].exists()) == (b"p2", False)
    renamed = bucket.rename_blob(moved, "renamed")
    assert (renamed.download_as_bytes(), moved.exists()) == (b"p2", False)


def test_preconditions_are_honoured_everywhere(bucket: Any) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string("1", if_generation_match=0)
    first = blob.generation
    refused = pytest.raises(exceptions.PreconditionFailed, match="pre-conditions you specified did not hold")
    with refused:
        blob.upload_from_string("2", if_generation_match=0)
    with refused:
        bucket.blob("new").upload_from_string("2", if_generation_match=first)
    with refused:
        bucket.blob("new").upload_from_string("2", if_generation_not_match=0)
    blob.upload_from_string("2", if_generation_match=first, if_metageneration_match=1)
    with refused:
        blob.reload(if_generation_match=first)
    with refused:
        blob.download_as_bytes(if_metageneration_match=2)
    with refused:
        blob.patch(if_metageneration_match=2)
    with refused:
        blob.update(if_generation_not_match=blob.generation)
    with refused:
        blob.delete(if_generation_match=first)
    with refused:
        bucket.copy_blob(blob, bucket, "b", if_source_generation_match=first)
    with refused:
        bucket.copy_blob(blob, bucket, "a", if_generation_match=0)
    with refused:
        bucket.blob("b").rewrite(blob, if_source_metageneration_not_match=1)
    with refused:
        bucket.blob("a", chunk_size=256 << 10).upload_from_string("3", if_generation_match=first)
    with refused:
        bucket.reload(if_metageneration_match=7)
    with pytest.raises(exceptions.NotModified):
        blob.download_as_bytes(if_generation_not_match=blob.generation)
    assert blob.download_as_bytes(if_etag_match=blob.etag) == b"2"
    assert bucket.blob("a", generation=first).exists() is False
    blob.delete(if_generation_match=blob.generation)


def test_of_eight_writers_one_wins_each_round(server: Server) -> None:
    clients = [client_of(server) for _ in range(8)]
    generation = 0
    for _ in range(3):
        won: list[int] = []
        barrier = threading.Barrier(8)

        def race(number: int, barrier: threading.Barrier = barrier, won: list[int] = won, at: int = generation) -> None:
            blob = clients[number].bucket("box").blob("lock")
            barrier.wait()
            try:
                blob.upload_from_string(str(number), if_generation_match=at)
            except exceptions.PreconditionFailed:
                return
            won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [str(number).encode() for number in won] == [server.buckets.read("box", "lock")]
        generation = server.buckets.get("box", "lock").generation


def test_many_requests_in_one(client: Any, bucket: Any) -> None:
    for number in range(5):
        bucket.blob(f"f{number}").upload_from_string("x")
    with client.batch():
        for number in range(4):
            bucket.blob(f"f{number}").delete()
    assert [blob.name for blob in client.list_blobs("box")] == ["f4"]
    with client.batch(raise_exception=False) as batch:
        blob = bucket.blob("f4")
        blob.metadata = {"a": "ü"}
        blob.patch()
        bucket.blob("nothing").delete()
    assert [response.status_code for response in batch._responses] == [200, 404]
    assert bucket.get_blob("f4").metadata == {"a": "ü"}


@pytest.mark.parametrize("kind", [transfer_manager.THREAD, transfer_manager.PROCESS])
def test_a_large_file_goes_up_in_parts_at_once(server: Server, bucket: Any, tmp_path: Path, kind: str) -> None:
    data = os.urandom((11 << 20) + 7)
    (tmp_path / "large").write_bytes(data)
    blob = bucket.blob("a b/large")
    blob.metadata = {"k": "v"}
    transfer_manager.upload_chunks_concurrently(
        str(tmp_path / "large"), blob, content_type="x/y", chunk_size=5 << 20, worker_type=kind, max_workers=3
    )
    found = bucket.get_blob("a b/large")
    assert (found.size, found.content_type, found.metadata) == (len(data), "x/y", {"k": "v"})
    assert (found.md5_hash, found.component_count) == (None, None)
    assert server.buckets.read("box", "a b/large") == data
    transfer_manager.download_chunks_concurrently(
        found, str(tmp_path / "down"), chunk_size=5 << 20, worker_type=kind, max_workers=3
    )
    assert (tmp_path / "down").read_bytes() == data
    assert list((server.buckets.uploads / "parts").iterdir()) == []


def test_a_folder_goes_up_and_down(bucket: Any, tmp_path: Path) -> None:
    names = ["a.txt", "b/c.txt"]
    for name in names:
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_text(name)
    done = transfer_manager.upload_many_from_filenames(
        bucket, names, str(tmp_path / "up"), worker_type=transfer_manager.THREAD, raise_exception=True
    )
    assert done == [None, None]
    transfer_manager.download_many_to_path(
        bucket, names, str(tmp_path / "down"), worker_type=transfer_manager.THREAD, raise_exception=True
    )
    assert [(tmp_path / "down" / name).read_text() for name in names] == names


def test_the_tree_and_the_client_see_the_same(server: Server, client: Any, bucket: Any) -> None:
    bucket.blob("in/data.csv").upload_from_string("a,b\n")
    folder = server.buckets.tree / "box"
    assert (folder / "in/data.csv").read_text() == "a,b\n"
    (folder / "out").mkdir()
    (folder / "out/model.json").write_text("{}")
    (folder / "in/data.csv").unlink()
    assert [blob.name for blob in client.list_blobs("box")] == ["out/", "out/model.json"]
    assert bucket.get_blob("out/model.json").content_type == "application/json"
    assert bucket.blob("out/model.json").download_as_text() == "{}"


def test_it_is_all_there_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path / "state") as server:
        bucket = client_of(server).create_bucket("box")
        bucket.blob("a").upload_from_string("x", content_type="text/plain")
        bucket.blob("b//c").upload_from_string("y")
        url = bucket.blob("later").create_resumable_upload_session()
        path = url.removeprefix(server.url)
        server.ask("PUT", path, bytes(256 << 10), {"Content-Range": "bytes 0-262143/262145"})
        generation = bucket.get_blob("a").generation
    with serving(tmp_path / "state") as server:
        bucket = client_of(server).get_bucket("box")
        found = bucket.get_blob("a")
        assert (found.generation, found.content_type, found.download_as_bytes()) == (generation, "text/plain", b"x")
        assert bucket.blob("b//c").download_as_bytes() == b"y"
        assert server.ask("PUT", path, b"z", {"Content-Range": "bytes 262144-262144/262145"}).status == 200
        assert bucket.blob("later").download_as_bytes()[-2:] == b"\0z"


def _set(thing: Any, name: str, value: Any) -> Any:
    setattr(thing, name, value)
    return thing.patch()


_KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
_NOT_EMULATED: dict[str, Callable[[Any, Any], Any]] = {
    "versioning": lambda client, bucket: _set(bucket, "versioning_enabled", True),
    "lifecycle": lambda client, bucket: _set(bucket, "lifecycle_rules", [{"action": {"type": "Delete"}}]),
    "retention": lambda client, bucket: _set(bucket, "retention_period", 5),
    "holds": lambda client, bucket: _set(bucket.get_blob("a"), "temporary_hold", True),
    "access control lists": lambda client, bucket: bucket.get_blob("a").make_public(),
    "HMAC keys": lambda client, bucket: client.create_hmac_key("a@example.com"),
    "notifications": lambda client, bucket: bucket.notification("topic").create(),
    "encryption keys": lambda client, bucket: bucket.blob("b", kms_key_name=_KEY).upload_from_string("x"),
    "keys that clients supply": lambda client, bucket: bucket.blob("b", encryption_key=bytes(32)).upload_from_string(
        ""
    ),
}


@pytest.mark.parametrize("what", _NOT_EMULATED)
def test_what_is_not_emulated_is_refused(client: Any, bucket: Any, what: str) -> None:
    bucket.blob("a").upload_from_string("x")
    refused = pytest.raises(exceptions.GoogleAPICallError, match=f"cloudops offline does not emulate .*{what}")
    with refused as caught:
        _NOT_EMULATED[what](client, bucket)
    assert caught.value.code == 501


def test_strangers_are_refused(server: Server) -> None:
    stranger = client_of(server, "another")
    with pytest.raises(exceptions.Unauthorized, match="Invalid Credentials"):
        stranger.get_bucket("box", retry=DEFAULT_RETRY.with_timeout(0))
