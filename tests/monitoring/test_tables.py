from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from cloudops.monitoring import batches, read_table
from cloudops.monitoring.tables import read_csv

FRAME = pl.DataFrame({"a": [1, 2, None], "größe": ["x", "y, z", None]})


@pytest.fixture
def folder(tmp_path):
    """A folder with a space and letters of other alphabets in its name."""
    path = tmp_path / "my data 東京 [1]"
    path.mkdir()
    return path


def test_every_format_reads_the_same(folder):
    FRAME.write_parquet(folder / "t.parquet")
    FRAME.write_csv(folder / "t.csv")
    FRAME.write_json(folder / "t.json")
    FRAME.write_ndjson(folder / "t.jsonl")
    for file in folder.iterdir():
        assert read_table(file).equals(FRAME), file
        assert read_table(str(file)).equals(FRAME), file


def test_a_number_that_comes_late_is_seen(tmp_path):
    (tmp_path / "t.csv").write_text("x\n" + "1\n" * 20_000 + "1.5\n")
    assert read_table(tmp_path / "t.csv")["x"].sum() == 20_001.5


def test_a_folder_and_a_pattern_are_one_table(tmp_path):
    for number in range(3):
        pl.DataFrame({"x": [number], f"only{number}": [1.5]}).write_parquet(tmp_path / f"part-{number}.parquet")
    (tmp_path / "README.md").write_text("not a table")
    assert read_table(tmp_path)["x"].to_list() == [0, 1, 2]
    assert read_table(tmp_path / "part-[12].parquet")["x"].to_list() == [1, 2]
    assert read_table(tmp_path / "part-*.parquet").width == 4


def test_an_empty_file_is_an_empty_table(tmp_path):
    (tmp_path / "t.csv").touch()
    assert read_table(tmp_path / "t.csv").is_empty()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.xlsx", b"", "cannot tell its format"),
        ("table", b"", "cannot tell its format"),
        ("t.parquet", b"PAR1 and no more", "cannot be read as parquet"),
        ("t.json", b"{", "cannot be read as json"),
        ("t.json", b"[1, 2]", "cannot be read as json"),
        ("t.jsonl", b'{"a": 1}\nnope\n', "cannot be read as jsonl"),
        ("t.csv", b"\xff\xfe\x00,b\n\xff,2\n", "cannot be read as csv"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_path(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says) as caught:
        read_table(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_there(tmp_path):
    with pytest.raises(ValueError, match="no such file, folder or pattern"):
        read_table(tmp_path / "missing.csv")
    with pytest.raises(ValueError, match="no table in this folder"):
        read_table(tmp_path)


def test_files_that_do_not_fit_together(tmp_path):
    pl.DataFrame({"x": [[1]]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"x": [1.5]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="do not fit together"):
        read_table(tmp_path)


def test_an_unreadable_file(tmp_path, monkeypatch):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(ValueError, match="no table in this folder"):
        read_table(tmp_path / "t.csv")


def test_batches_cover_every_row_in_order():
    frame = pl.DataFrame({"x": range(10)})
    found = list(batches(frame, 4))
    assert [len(batch) for batch in found] == [4, 4, 2]
    assert [row["x"] for batch in found for row in batch] == list(range(10))
    assert list(batches(frame.clear(), 4)) == []
    with pytest.raises(ValueError, match="at least one row"):
        next(batches(frame, 0))


def test_batches_are_json():
    row = {
        "float": [math.nan, math.inf, 1.5],
        "when": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)] * 3,
        "day": [date(2026, 1, 2)] * 3,
        "clock": [time(3, 4)] * 3,
        "took": [timedelta(minutes=2)] * 3,
        "price": [Decimal("1.25")] * 3,
        "raw": [b"\x00\xff"] * 3,
        "nested": [{"a": [math.nan, 1.0]}] * 3,
        "kind": pl.Series(["a", None, "b"], dtype=pl.Categorical),
    }
    (batch,) = batches(pl.DataFrame(row), 10)
    assert json.loads(json.dumps(batch, allow_nan=False)) == batch
    assert [one["float"] for one in batch] == [None, None, 1.5]
    first = batch[0]
    assert first["when"] == "2026-01-02T03:04:05+00:00"
    assert (first["day"], first["clock"], first["took"]) == ("2026-01-02", "03:04:00", 120.0)
    assert (first["price"], first["raw"], first["nested"]) == (1.25, "00ff", {"a": [None, 1.0]})


@pytest.mark.parametrize(
    "content",
    [
        b"day,n\n2024-01-02,1\n2024-01-03,2\n",
        b"n\n" + b"1\n" * 500 + b"2.5\n",
        b"n\n" + b"1\n" * 500 + b"two\n",
        "\ufeffname\nZoë\n".encode(),
        b"",
        b"n\n",
        b'n\n"1\n',
        b"a,b\n1\n",
        b"\xff\xfe\n\x00\x80\n",
    ],
)
def test_content_is_read_as_the_file_is(tmp_path, content):
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    assert _outcome(lambda: read_csv(content, str(file))) == _outcome(lambda: read_table(file))


def _outcome(read):
    try:
        frame = read()
    except ValueError as error:
        return str(error)
    return frame.schema, frame.to_dicts()
