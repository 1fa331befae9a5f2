"""Inputs from an object store: the real client library against a server that speaks S3 on the loopback address."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudops.errors import AuthError, ConfigError, MissingDependency, NotFound, ProviderError, Unavailable
from cloudops.store import objects
from cloudops.store.fetch import fetch, version

from .servers import S3, Server, serving


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(objects, "_RETRIES", {"max_retries": 0})
    with serving(S3) as server:
        for name, value in {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "eu-west-1",
        }.items():
            monkeypatch.setenv(name, value)
        server.files = {
            "/bucket/data/a.parquet": b"aaa",
            "/bucket/data/b c.parquet": b"bb",
            "/bucket/data/notes.txt": b"n",
            "/bucket/data/deep/d.parquet": b"d" * 100_000,
            "/bucket/database.csv": b"other",
        }
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fetched(server: Server) -> list[str]:
    """The objects that were read since the last call."""
    names = [path.removeprefix("GET /bucket/") for path, _, _ in server.requests if path.startswith("GET /bucket/")]
    server.requests.clear()
    return sorted(names)


def test_one_object_is_fetched_once_per_version(s3: Server, tmp_path: Path) -> None:
    first = fetch("s3://bucket/data/a.parquet", tmp_path)
    assert (first.name, first.read_bytes()) == ("a.parquet", b"aaa")
    assert fetched(s3) == ["data/a.parquet"]
    assert fetch("s3://bucket/data/a.parquet", tmp_path) == first
    assert fetched(s3) == []
    s3.files["/bucket/data/a.parquet"] = b"AAA"
    second = fetch("s3://bucket/data/a.parquet", tmp_path)
    assert (first.read_bytes(), second.read_bytes()) == (b"aaa", b"AAA")


def test_a_prefix_is_a_folder_and_only_what_changed_is_fetched_again(s3: Server, tmp_path: Path) -> None:
    folder = fetch("s3://bucket/data/", tmp_path)
    expected = {"a.parquet": b"aaa", "b c.parquet": b"bb", "notes.txt": b"n", "deep/d.parquet": b"d" * 100_000}
    assert contents(folder) == expected
    assert len(fetched(s3)) == 4
    assert fetch("s3://bucket/data/", tmp_path) == folder
    assert fetched(s3) == []
    s3.files["/bucket/data/notes.txt"] = b"N"
    changed = fetch("s3://bucket/data/", tmp_path)
    assert fetched(s3) == ["data/notes.txt"]
    assert contents(changed) == {**expected, "notes.txt": b"N"}
    assert contents(folder) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("data/*.parquet", {"a.parquet", "b c.parquet"}),
        ("data/**/*.parquet", {"a.parquet", "b c.parquet", "deep/d.parquet"}),
        ("d*/[ab]*.parquet", {"data/a.parquet", "data/b c.parquet"}),
        ("data/?.parquet", {"a.parquet"}),
        ("*", {"database.csv"}),
        ("", {"data/a.parquet", "data/b c.parquet", "data/notes.txt", "data/deep/d.parquet", "database.csv"}),
    ],
)
def test_patterns(s3: Server, tmp_path: Path, pattern: str, expected: set[str]) -> None:
    assert contents(fetch(f"s3://bucket/{pattern}", tmp_path)).keys() == expected


def test_markers_of_folders_are_no_files(s3: Server, tmp_path: Path) -> None:
    s3.files["/bucket/data/"] = b""
    assert contents(fetch("s3://bucket/data/", tmp_path)).keys() == {
        "a.parquet",
        "b c.parquet",
        "notes.txt",
        "deep/d.parquet",
    }


def test_versions_follow_the_content_and_fetch_nothing(s3: Server, tmp_path: Path) -> None:
    uris = ["s3://bucket/data/a.parquet", "s3://bucket/data/", "s3://bucket/data/*.txt", "s3://bucket/database.csv"]
    before = [version(uri, tmp_path) for uri in uris]
    assert len(set(before)) == 4
    assert all(before)
    s3.files["/bucket/data/a.parquet"] = b"AAA"
    after = [version(uri, tmp_path) for uri in uris]
    assert [one != other for one, other in zip(before, after, strict=True)] == [True, True, False, False]
    assert {status for path, _, status in s3.requests if path.startswith("GET /bucket/")} == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("data", "does not exist; check the address; a folder ends in /"),
        ("nothing/", "holds no objects"),
        ("data/*.csv", "matches no object"),
    ],
)
def test_what_is_not_there(s3: Server, tmp_path: Path, key: str, says: str) -> None:
    with pytest.raises(NotFound) as caught:
        fetch(f"s3://bucket/{key}", tmp_path)
    assert str(caught.value).startswith(f"s3://bucket/{key} {says}")


@pytest.mark.parametrize(("status", "kind"), [(401, AuthError), (403, AuthError), (500, ProviderError)])
def test_refusals(s3: Server, tmp_path: Path, status: int, kind: type[ProviderError]) -> None:
    s3.answers = [status] * 9
    with pytest.raises(kind) as caught:
        fetch("s3://bucket/data/a.parquet", tmp_path)
    assert str(caught.value).startswith("s3://bucket/data/a.parquet: ")
    assert "\n" not in str(caught.value)


def test_what_this_machine_may_not_read_has_no_known_version(s3: Server, tmp_path: Path) -> None:
    s3.answers = [403]
    assert version("s3://bucket/data/a.parquet", tmp_path) == ""


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, s3: Server, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match=r"no answer: .*; check the network and the endpoint"):
        fetch("s3://bucket/data/a.parquet", tmp_path)


def test_an_object_that_changes_while_it_is_fetched(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = objects._Source("s3://bucket/data/a.parquet")
    (found,) = source.objects()
    s3.files["/bucket/data/a.parquet"] = b"longer now"
    with pytest.raises(Unavailable, match=r"data/a\.parquet changed while it was fetched; run again"):
        source.download(found, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_keys_that_would_leave_the_folder_are_refused(s3: Server, tmp_path: Path) -> None:
    s3.files["/bucket/evil/../../../x"] = b"evil"
    with pytest.raises((ConfigError, ProviderError)):
        fetch("s3://bucket/evil/", tmp_path)
    assert not (tmp_path.parent / "x").exists()


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def missing(name: str, *arguments: Any) -> Any:
        if name.startswith("obstore"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return load(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependency, match=r"pip install 'cloudops-ml\[remote\]'"):
        fetch("gs://bucket/x.csv", tmp_path)
    assert version("gs://bucket/x.csv", tmp_path) == ""


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("s3:///x.csv", "names no bucket; expected SCHEME://BUCKET/KEY"),
        ("azureml://datastores/d/paths/x.csv", "can only be read inside Azure ML; name its storage account instead"),
        ("hdfs://name/x.csv", "hdfs:// cannot be fetched; known are a path and file://, http://"),
    ],
)
def test_addresses_that_cannot_be_fetched(tmp_path: Path, uri: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fetch(uri, tmp_path)
    assert says in str(caught.value)
