"""Inputs that are on this machine already, folders of links, and what messages may show."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudops.errors import CloudopsError, ConfigError
from cloudops.store.fetch import fetch, version
from cloudops.store.uris import redact
from cloudops.store.views import view


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "my data é"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.csv", "b.csv", "notes.txt", "deep/c.csv"):
        (folder / name).write_text(name)
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_paths_are_themselves(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    cache = tmp_path / "cache"
    assert fetch("a.csv", cache) == data / "a.csv"
    assert fetch(str(data), cache) == data
    assert fetch((data / "a.csv").as_uri(), cache) == data / "a.csv"
    assert fetch(f"file://localhost{data}/b.csv", cache) == data / "b.csv"
    assert not cache.exists()


def test_a_name_with_wildcard_characters_is_taken_as_it_stands_where_it_exists(data: Path, tmp_path: Path) -> None:
    (data / "x[1].csv").write_text("")
    assert fetch(str(data / "x[1].csv"), tmp_path) == data / "x[1].csv"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("*.csv", {"a.csv", "b.csv"}), ("**/*.csv", {"a.csv", "b.csv", "deep/c.csv"}), ("*/c.csv", {"deep/c.csv"})],
)
def test_a_pattern_is_a_folder_with_what_matches(data: Path, tmp_path: Path, pattern: str, expected: set[str]) -> None:
    folder = fetch(str(data / pattern), tmp_path / "cache")
    assert names(folder) == expected
    assert fetch(str(data / pattern), tmp_path / "cache") == folder
    assert all((folder / name).read_text() == name for name in expected)


def test_a_new_match_gives_a_new_folder(data: Path, tmp_path: Path) -> None:
    first = fetch(str(data / "*.csv"), tmp_path / "cache")
    (data / "z.csv").write_text("z")
    second = fetch(str(data / "*.csv"), tmp_path / "cache")
    assert names(second) - names(first) == {"z.csv"}


def test_versions_are_digests_of_the_content(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    sources = [(data / "a.csv").as_uri(), str(data), str(data / "*.csv")]
    before = [version(source, cache) for source in sources]
    (data / "notes.txt").write_text("changed")
    after = [version(source, cache) for source in sources]
    assert [one != other for one, other in zip(before, after, strict=True)] == [False, True, False]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nothing.csv", "'nothing.csv' does not exist; looked for "),
        ("no/*.csv", "no file matches "),
        ("file://host/x.csv", "names the host 'host'; write file:///host/x.csv for a path of this machine"),
    ],
)
def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        fetch(source, tmp_path)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x"])
def test_a_view_holds_nothing_outside_of_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a file"):
        view([("fine", "/dev/null"), (name, "/dev/null")], tmp_path)
    assert list((tmp_path / "views").iterdir()) == []


def test_a_name_cannot_be_a_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the name of both a file and a folder"):
        view([("a", "/dev/null"), ("a/b", "/dev/null")], tmp_path)


def test_a_view_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CloudopsError, match="cannot write to"):
        view([("a", "/dev/null")], tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host/a.csv?sig=secret", "https://host/a.csv?..."),
        ("GET https://me:secret@host:8/a?x=secret#secret failed", "GET https://host:8/a?... failed"),
        ("('http://h/a?k=secret', 3) why?", "('http://h/a?...', 3) why?"),
        ("s3://bucket/a?.csv", "s3://bucket/a?.csv"),
        ("abfss://box@account.dfs.core.windows.net/x", "abfss://box@account.dfs.core.windows.net/x"),
        ("https://host/path", "https://host/path"),
    ],
)
def test_signatures_and_passwords_are_not_shown(text: str, shown: str) -> None:
    assert redact(text) == shown
