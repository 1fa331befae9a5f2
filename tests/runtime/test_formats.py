from __future__ import annotations

import contextlib
import csv
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cloudops.runtime.arrays import flattened, nested
from cloudops.runtime.dialects.tensors import DATATYPES, from_predictions, to_rows
from cloudops.runtime.errors import BadRequest, HttpError
from cloudops.runtime.formats import answer_format, csv_rows, npy_rows, read
from cloudops.runtime.media import choose, parse

NUMERIC = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
TYPES = ["application/json", "text/csv", "text/csv;header=present", "application/x-npy"]


def saved(array: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


# --- any bytes ---


@settings(max_examples=400)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.sampled_from(TYPES))
def test_any_body_is_rows_or_a_clear_refusal(body: bytes, kind: str) -> None:
    with contextlib.suppress(BadRequest, HttpError):
        assert read(body, kind).rows


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["instances", "a", "b"]), inner),
    max_leaves=12,
)


@settings(max_examples=400)
@given(json_values)
def test_any_json_is_rows_or_a_clear_refusal(value: object) -> None:
    with contextlib.suppress(BadRequest):
        rows = read(json.dumps(value).encode(), "").rows
        assert len({type(row) if isinstance(row, (list, dict)) else None for row in rows}) == 1


# --- npy ---


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(NUMERIC), st.sampled_from("<>"), st.booleans())
def test_npy_reads_what_numpy_writes(data: st.DataObject, kind: str, order: str, fortran: bool) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
    array = data.draw(hnp.arrays(np.dtype(order + kind), shape))
    rows = npy_rows.read(saved(np.asfortranarray(array) if fortran else array), {}).rows
    np.testing.assert_array_equal(np.array(rows, dtype=array.dtype), array)
    assert {type(each) for each in flattened(rows)[0]} <= {bool, int, float}


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5), min_size=1))
def test_npy_reads_text(texts: list[str]) -> None:
    array = np.array(texts)
    for order in "<>":
        body = saved(array.astype(array.dtype.newbyteorder(order)))
        if array.dtype.itemsize and any(texts):
            assert npy_rows.read(body, {}).rows == array.tolist()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_versions(version: tuple[int, int]) -> None:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, np.arange(6).reshape(3, 2), version)
    assert npy_rows.read(sink.getvalue(), {}).rows == [[0, 1], [2, 3], [4, 5]]


@given(st.lists(st.floats() | st.none(), min_size=1) | st.lists(st.booleans(), min_size=1) | st.lists(st.integers()))
def test_numpy_reads_what_npy_writes(predictions: list[object]) -> None:
    array = np.load(io.BytesIO(npy_rows.write(predictions)), allow_pickle=False)
    wanted = [math.nan if each is None else each for each in predictions]
    np.testing.assert_array_equal(array, np.array(wanted, dtype=array.dtype))


def test_numpy_reads_matrices() -> None:
    array = np.load(io.BytesIO(npy_rows.write([[1, 2], [3, 4], [5, 6]])))
    assert (array.dtype, array.tolist()) == (np.int64, [[1, 2], [3, 4], [5, 6]])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([{"a": 1}]), "arrays of '|O' are not understood"),
        (np.array([1j]), "arrays of '<c16' are not understood"),
        (np.array(["2026-01-01"], dtype="datetime64[D]"), "are not understood"),
        (np.zeros(1, dtype=[("a", "f4")]), "are not understood"),
        (np.float64(1), "the array is empty"),
        (np.zeros((0, 3)), "the array is empty"),
        (np.zeros((3, 0)), "the array is empty"),
    ],
)
def test_npy_refuses(array: np.ndarray, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        npy_rows.read(saved(array), {})
    assert message in str(caught.value)


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00\x00\x00",
        saved(np.arange(4.0))[:-1],
        saved(np.arange(4.0)) + b"x",
        header("{"),
        header("__import__('os')"),
        header("{'descr': '<f8', 'fortran_order': False}"),
        header("{'descr': '<f8', 'fortran_order': 1, 'shape': (1,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (10**30,)}"),
        header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**12}, {10**12})}}"),
        header(f"{{'descr': '<U0', 'fortran_order': False, 'shape': ({10**12},)}}"),
        header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**12}, 0)}}"),
    ],
)
def test_damaged_npy_is_refused_at_once(body: bytes) -> None:
    with pytest.raises(BadRequest):
        npy_rows.read(body, {})


@pytest.mark.parametrize("predictions", [["a"], [[1], [1, 2]], [[1], 2], [{"a": 1}]])
def test_what_npy_cannot_hold(predictions: list[object]) -> None:
    with pytest.raises(HttpError, match="accept JSON") as caught:
        npy_rows.write(predictions)
    assert caught.value.status == 406


@given(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
def test_nested_and_flattened_are_inverse(shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape)
    assert nested(array.ravel().tolist(), shape) == array.tolist()
    assert flattened(array.tolist()) == (array.ravel().tolist(), shape)


# --- CSV ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e5", 1e5),
        ("-1.5E-3", -0.0015),
        (" 7 ", 7),
        ("inf", math.inf),
        ("007", "007"),
        ("1,000", "1,000"),
        ("true", "true"),
        ("", None),
        ("JFK", "JFK"),
        ("1_000", "1_000"),
        ("٣", "٣"),
        ("12345678901234567890", 12345678901234567890.0),
        ("line\nbreak", "line\nbreak"),
    ],
)
def test_csv_cells(text: str, value: object) -> None:
    sink = io.StringIO()
    csv.writer(sink).writerow([text, "x"])
    assert csv_rows.read(sink.getvalue().encode(), {}).rows == [[value, "x"]]


def test_csv_header() -> None:
    assert csv_rows.read("\ufeffa,b\r\n1,x\r\n".encode(), {"header": "Present"}).rows == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize(
    ("body", "parameters", "message"),
    [
        (b"", {}, "'body' is empty"),
        (b"a,b\n", {"header": "present"}, "'body' is empty"),
        (b"", {"header": "present"}, "'body' is empty"),
        (b"1,2\n3\n", {}, "row 1 has 1 values and row 0 has 2"),
        (b"a,b\n3\n", {"header": "present"}, "row 0 has 1 values and the header 2 columns"),
        (b"a,a\n3,4\n", {"header": "present"}, "names a column twice"),
        (b'"a\n', {}, "the body is not CSV"),
        (b"\xff\n", {}, "the body is not text in utf-8"),
    ],
)
def test_wrong_csv(body: bytes, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        csv_rows.read(body, parameters)


def test_csv_answers() -> None:
    predictions = [1.5, None, "a,b", [1, 2], {"x": True, "y": 'q"'}]
    assert csv_rows.write(predictions).decode() == '1.5\n""\n"a,b"\n1,2\nTrue,"q"""\n'


# --- media types ---


def test_content_types() -> None:
    assert parse('Text/CSV; Header=present; charset="utf-8"') == ("text/csv", {"header": "present", "charset": "utf-8"})
    assert parse("") == ("", {})


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv;q=0.5, application/x-npy", "application/x-npy"),
        ("text/csv;q=0.5, */*;q=0.1", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("application/json; q=nonsense", "application/json"),
        ("text/html, image/png, */*;q=0.8", "application/json"),
        ("text/html", None),
        ("*/*;q=0", None),
    ],
)
def test_accept(accept: str, kind: str | None) -> None:
    assert choose(accept, ["application/json", "text/csv", "application/x-npy", "application/jsonlines"]) == kind
    if kind is not None:
        assert answer_format(accept).kind == kind


# --- tensors ---

_EXAMPLES = {"BOOL": True, "BYTES": "ü"}


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype(datatype: str) -> None:
    value = _EXAMPLES.get(datatype, 3)
    (row,) = to_rows([{"name": "x", "shape": [1, 2], "datatype": datatype, "data": [value, value]}])
    assert row == [value, value]
    assert type(row[0]) is (float if datatype.startswith("FP") else type(value))


def test_missing_values_in_tensors() -> None:
    body = b'[{"name": "x", "shape": [2], "datatype": "FP32", "data": [null, NaN]}]'
    first, second = to_rows(json.loads(body))
    assert first is None
    assert math.isnan(second)


@pytest.mark.parametrize(
    ("predictions", "outputs"),
    [
        ([1, 2], [("predictions", [2], "INT64", [1, 2])]),
        ([1.5, 2], [("predictions", [2], "FP64", [1.5, 2])]),
        ([1.5, None], [("predictions", [2], "FP64", [1.5, None])]),
        ([True, False], [("predictions", [2], "BOOL", [True, False])]),
        (["a", "b"], [("predictions", [2], "BYTES", ["a", "b"])]),
        ([[1, 2], [3, 4], [5, 6]], [("predictions", [3, 2], "INT64", [1, 2, 3, 4, 5, 6])]),
        ([{"l": "a", "p": [0.5]}] * 2, [("l", [2], "BYTES", ["a", "a"]), ("p", [2, 1], "FP64", [0.5, 0.5])]),
    ],
)
def test_predictions_as_tensors(predictions: list[object], outputs: list[tuple[object, ...]]) -> None:
    keys = ("name", "shape", "datatype", "data")
    assert from_predictions(predictions) == [dict(zip(keys, each, strict=True)) for each in outputs]


@pytest.mark.parametrize(
    "predictions", [[1, "a"], [[1], [1, 2]], [{"a": 1}, {"b": 1}], [{"a": 1}, 2], [{"a": {"b": 1}}]]
)
def test_predictions_that_are_no_tensors(predictions: list[object]) -> None:
    with pytest.raises(HttpError, match="use another route") as caught:
        from_predictions(predictions)
    assert caught.value.status == 500
