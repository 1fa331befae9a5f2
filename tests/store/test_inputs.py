"""What an input is, and its files where a cloud cannot read it where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudops.store.inputs import is_folder, is_pattern, local_files, within


@pytest.mark.parametrize(
    ("source", "folder", "pattern", "name"),
    [
        ("gs://b/d/table.csv", False, False, "table.csv"),
        ("gs://b/d/", True, False, ""),
        ("s3://b", True, False, ""),
        ("gs://b/d/*.csv", True, True, ""),
        ("https://host/a/table.csv?x=[1]", False, False, "table.csv"),
        ("https://host/", True, False, ""),
        ("{here}/table.csv", False, False, "table.csv"),
        ("{here}/odd[1].csv", False, False, "odd[1].csv"),
        ("{here}", True, False, ""),
        ("{here}/*.csv", True, True, ""),
    ],
)
def test_kinds(source: str, folder: bool, pattern: bool, name: str, tmp_path: Path) -> None:
    for each in ("table.csv", "odd[1].csv"):
        (tmp_path / each).write_text("x")
    given = source.format(here=tmp_path)
    assert (is_folder(given), is_pattern(given), within(given)) == (folder, pattern, name)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "d" / "deep").mkdir(parents=True)
    for name in ("d/a.csv", "d/deep/b.csv", "d/c.txt"):
        (tmp_path / name).write_text(name)
    cache = tmp_path / "cache"
    assert set(local_files(str(tmp_path / "d"), cache)) == {"a.csv", "deep/b.csv", "c.txt"}
    assert local_files(str(tmp_path / "d" / "a.csv"), cache) == {"a.csv": tmp_path / "d" / "a.csv"}
    assert set(local_files(str(tmp_path / "d" / "*.csv"), cache)) == {"a.csv"}
