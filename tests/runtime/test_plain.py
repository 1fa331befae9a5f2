from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cloudops.runtime.plain import dumps, plain


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Fake:
    """A tensor, as far as plain() looks at one; tests/runtime/test_models.py has real ones where PyTorch is."""

    def detach(self) -> Fake:
        return self

    cpu = detach

    def tolist(self) -> list[float]:
        return [1.0, math.nan]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.5, math.nan, math.inf], dtype="float32"), [1.5, None, None]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([True]), [True]),
        (np.array([None, 1, "x", np.float64(2)], dtype=object), [None, 1, "x", 2.0]),
        (np.float64("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.longdouble(0.5), 0.5),
        (np.array(7), 7),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (pd.DataFrame({"a": [1, 2], "b": [0.5, None]}), [{"a": 1, "b": 0.5}, {"a": 2, "b": None}]),
        (pd.Series(["x", None]), ["x", None]),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.Timestamp("2026-01-02 03:04"), "2026-01-02T03:04:00"),
        (pd.NaT, None),
        (pd.NA, None),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (decimal.Decimal("1.5"), 1.5),
        (decimal.Decimal("NaN"), None),
        (b"bytes \xff", "bytes \ufffd"),
        ((1, (2, 3)), [1, [2, 3]]),
        ({"a": np.array([1])}.values(), [[1]]),
        ((each for each in "ab"), ["a", "b"]),
        ({1: np.int8(2), np.str_("b"): {3}}, {"1": 2, "b": [3]}),
        (Level.HIGH, 3),
        (Fake(), [1.0, None]),
        ([], []),
        (None, None),
    ],
)
def test_plain(value: object, expected: object) -> None:
    result = plain(value)
    assert result == expected
    assert json.loads(json.dumps(result, allow_nan=False)) == expected


@pytest.mark.parametrize("value", [object(), Color.RED, 1j, SimpleNamespace(a=1), [object()]])
def test_what_is_not_plain(value: object) -> None:
    with pytest.raises(TypeError, match="is nothing that JSON can hold"):
        plain(value)


@given(hnp.arrays(hnp.scalar_dtypes().filter(lambda kind: kind.kind in "biufSU"), hnp.array_shapes(max_side=3)))
def test_any_array(array: np.ndarray) -> None:
    json.dumps(plain(array), allow_nan=False)


@given(st.lists(st.floats()))
def test_dumps_has_no_nan(values: list[float]) -> None:
    expected = [value if math.isfinite(value) else None for value in values]
    assert json.loads(dumps({"x": values}), parse_constant=pytest.fail) == {"x": expected}
