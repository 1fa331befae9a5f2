"""Whatever JSON a client sends, the answer is a prediction or a 4xx with a reason; only the model can cause a 500."""

from __future__ import annotations

import copy
import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudops.runtime import settings as runtime_settings
from cloudops.runtime.app import App
from cloudops.runtime.messages import Request, Response
from cloudops.runtime.models.rows import TensorSpec

INFER = "/v2/models/model/infer"
ROUTES = ("/invocations", "/score", "/v1/endpoints/e/deployedModels/d:predict", INFER)


class Ones:
    framework = "test"

    def inputs(self) -> list[TensorSpec]:
        return []

    def predict(self, rows: list[Any], parameters: Mapping[str, Any]) -> Any:
        return [1] * len(rows)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    given = dataclasses.replace(runtime_settings.read({}), capture_dir=tmp_path_factory.mktemp("captured"))
    app = App(given)
    app.loaded(Ones())
    return app


def answered(app: App, path: str, body: bytes, **headers: str) -> Response:
    """The response, after a look that it is no 500 and that a refusal gives a reason."""
    response = app.handle(Request("POST", path, headers, body))
    assert response.status == 200 or 400 <= response.status < 500, response.body
    if response.status != 200:
        assert json.loads(response.body)["error"].strip()
    return response


ODD = st.sampled_from([10**30, 1e308, "\ud800", "", "a"])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ODD)
ANY = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner))


def either(*expected: Any) -> st.SearchStrategy[Any]:
    """Most often what is expected, so that a body gets past the first check."""
    return st.one_of(*expected, *expected, ANY)


RIGHT = {
    "inputs": [{"name": "a", "shape": [2], "datatype": "INT64", "data": [1, 2], "parameters": {}}],
    "outputs": [{"name": "predictions", "parameters": {}}],
    "id": "x",
    "parameters": {},
}
PLACES = [
    *((key,) for key in RIGHT),
    *(("inputs", 0, key) for key in RIGHT["inputs"][0]),
    *(("inputs", 0, key, 0) for key in ("shape", "data")),
    *(("outputs", 0, key) for key in RIGHT["outputs"][0]),
    ("inputs", 1),
    ("outputs", 1),
]


def spoilt(place: tuple[Any, ...], value: Any) -> Any:
    """The right body with ``value`` in that place; a list's end is a place too."""
    body = at = copy.deepcopy(RIGHT)
    for key in place[:-1]:
        at = at[key]
    if isinstance(at, list):
        at[place[-1] : place[-1] + 1] = [value]
    else:
        at[place[-1]] = value
    return body


ROWS_BODY = st.fixed_dictionaries(
    {},
    optional={
        "instances": either(st.lists(ANY, max_size=3)),
        "parameters": ANY,
        "input_data": either(st.fixed_dictionaries({}, optional={"columns": ANY, "data": ANY})),
        "dataframe_split": ANY,
    },
)


@settings(max_examples=150, deadline=None)
@given(body=st.builds(spoilt, st.sampled_from(PLACES), ANY))
def test_any_tensors(app: App, body: Any) -> None:
    answered(app, INFER, json.dumps(body).encode())


@settings(max_examples=150, deadline=None)
@given(body=ROWS_BODY | ANY, path=st.sampled_from(ROUTES))
def test_any_json(app: App, body: Any, path: str) -> None:
    answered(app, path, json.dumps(body).encode())


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=60), kind=st.sampled_from(["application/json", "text/csv", "application/x-npy"]))
def test_any_bytes(app: App, body: bytes, kind: str) -> None:
    for path in ROUTES:
        answered(app, path, body, **{"content-type": kind})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": [{"parameters": 5}]}, "the 'parameters' of the tensor 'x' must be an object"),
        ({"outputs": [{"name": [1]}]}, "'outputs' must be a list of objects with a 'name', a text"),
        ({"outputs": [{}]}, "'outputs' must be a list of objects with a 'name', a text"),
        ({"outputs": [{"name": "y"}]}, "there is no output 'y'; there are predictions"),
        ({"inputs": [{"datatype": []}]}, "has datatype []; expected one of"),
        ({"inputs": [{"data": [[[1]]]}]}, "has shape [1], and its data shape [1, 1, 1]"),
    ],
)
def test_a_malformed_tensor_is_the_senders_to_correct(app: App, changes: dict[str, Any], reason: str) -> None:
    tensor = {"name": "x", "shape": [1], "datatype": "INT64", "data": [1]}
    assert answered(app, INFER, json.dumps({"inputs": [tensor]}).encode()).status == 200
    body = {**changes, "inputs": [{**tensor, **each} for each in changes.get("inputs", [{}])]}
    assert reason in json.loads(answered(app, INFER, json.dumps(body).encode()).body)["error"]


@pytest.mark.parametrize(
    "form", ["%s", '{"parameters": %s, "instances": [1]}', '{"instances": %s}', '{"inputs": [%s]}']
)
def test_bodies_that_are_nested_deeply(app: App, form: str) -> None:
    for depth in (10, *range(sys.getrecursionlimit() - 150, sys.getrecursionlimit() + 10, 7), 100_000):
        for path in ROUTES:
            answered(app, path, (form % ("[" * depth + "]" * depth)).encode())


def test_an_array_of_more_values_than_a_number_can_hold(app: App) -> None:
    header = str({"descr": "<f8", "fortran_order": False, "shape": (10**300,) * 20}).encode()
    body = b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header
    answered(app, "/invocations", body, **{"content-type": "application/x-npy"})
