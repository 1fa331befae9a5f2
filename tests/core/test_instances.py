"""Rows of an endpoint, from what Python programs hold them in."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from cloudops.errors import ConfigError
from cloudops.instances import request_body


def sent(rows: Any) -> list[Any]:
    document = json.loads(request_body(rows))
    assert list(document) == ["instances"]
    return document["instances"]  # type: ignore[no-any-return]


def test_frames_are_rows_of_columns() -> None:
    expected = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert sent(pl.DataFrame({"a": [1, 2], "b": ["x", None]})) == expected
    assert sent(pd.DataFrame({"a": [1, 2], "b": ["x", None]})) == expected


def test_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="columns of different names"):
        request_body(pd.DataFrame([[1, 2]], columns=["age", "age"]))


def test_arrays_and_iterables_are_rows() -> None:
    assert sent(np.array([[1.5, 2.0]])) == [[1.5, 2.0]]
    assert sent(row for row in ([1], [2])) == [[1], [2]]
    assert sent(({"a": 1},)) == [{"a": 1}]


def test_what_json_lacks_is_written_as_text_or_null() -> None:
    moment = dt.datetime(2013, 1, 1, 5, tzinfo=dt.UTC)
    row = {
        "day": moment.date(),
        "moment": moment,
        "delay": dt.timedelta(minutes=2),
        "price": Decimal("1.5"),
        "small": np.float32(0.5),
        "count": np.int64(3),
        "vector": np.array([1, 2]),
        "nan": math.nan,
        "missing": [pd.NaT, pd.NA, np.float64("inf")],
        "raw": b"\x01",
        ("a", 1): True,
    }
    assert sent([row]) == [
        {
            "day": "2013-01-01",
            "moment": "2013-01-01T05:00:00+00:00",
            "delay": 120.0,
            "price": 1.5,
            "small": 0.5,
            "count": 3,
            "vector": [1, 2],
            "nan": None,
            "missing": [None, None, None],
            "raw": "01",
            "('a', 1)": True,
        }
    ]


@pytest.mark.parametrize("rows", [{"a": 1}, "abc", b"abc", 5, None, [], np.array(5), pd.DataFrame({"a": []})])
def test_what_is_no_list_of_rows_is_refused(rows: Any) -> None:
    with pytest.raises(ConfigError, match=r"expected (a list of rows|at least one row)"):
        request_body(rows)
