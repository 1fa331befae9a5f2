"""The application without a server: what only a model or a clock of the test's own can show."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudops.runtime import settings
from cloudops.runtime.app import App
from cloudops.runtime.errors import HttpError
from cloudops.runtime.lifecycle import Lifecycle
from cloudops.runtime.messages import Request, Response
from cloudops.runtime.models.rows import TensorSpec
from cloudops.runtime.predictor import load
from cloudops.runtime.routing import Route, Routes
from cloudops.runtime.stats import Stats


class Model:
    framework = "test"

    def __init__(self, answer: Callable[[list[Any]], Any]) -> None:
        self._answer = answer

    def inputs(self) -> list[TensorSpec]:
        return [TensorSpec("a", "FP64", (-1,))]

    def predict(self, rows: list[Any], parameters: Mapping[str, Any]) -> Any:
        return self._answer(rows)


def app_with(answer: Callable[[list[Any]], Any], **changes: Any) -> App:
    app = App(dataclasses.replace(settings.read({}), **changes), clock=lambda: 1000.0)
    app.loaded(Model(answer))
    return app


def post(app: App, rows: object) -> Response:
    return app.handle(Request("POST", "/invocations", {}, json.dumps(rows).encode()))


def test_a_model_that_changes_its_rows_in_place(tmp_path: Path) -> None:
    def spoil(rows: list[Any]) -> list[Any]:
        for row in rows:
            row.clear()
        rows.append({})
        return [1, 2]

    post(app_with(spoil, capture_dir=tmp_path), [{"a": 1}, {"a": 2}])
    (path,) = tmp_path.iterdir()
    record = json.loads(path.read_text())
    assert (record["inputs"], record["outputs"], record["time"]) == ([{"a": 1}, {"a": 2}], [1, 2], 1000.0)


def test_an_error_in_the_model_never_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    def recurse(rows: list[Any]) -> Any:
        return recurse(rows)

    endless: list[Any] = []
    endless.append(endless)
    for answer in (recurse, lambda rows: endless, lambda rows: 1 / 0):
        response = post(app_with(answer), [1])
        assert response.status == 500
        assert json.loads(response.body)["error"].startswith("the model failed: ")
    assert capsys.readouterr().err.count("Traceback") == 3


def test_a_mistake_of_our_own_is_a_500_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    app = app_with(lambda rows: rows)
    monkeypatch.setattr(Stats, "exposition", lambda *_, **__: 1 / 0)
    response = app.handle(Request("GET", "/metrics"))
    assert (response.status, json.loads(response.body)["error"]) == (
        500,
        "internal error: ZeroDivisionError: division by zero",
    )
    assert "Traceback" in capsys.readouterr().err


def test_lone_surrogates_do_not_break_a_response() -> None:
    response = post(app_with(lambda rows: ["\ud800"]), [1])
    assert (response.status, response.body) == (200, b'{"predictions": ["?"]}')


def test_metadata_has_the_models_inputs() -> None:
    response = app_with(lambda rows: rows).handle(Request("GET", "/v2/models/model"))
    assert json.loads(response.body)["inputs"] == [{"name": "a", "datatype": "FP64", "shape": [-1]}]


# --- predictor files ---


def predictor(folder: Path, text: str) -> Any:
    path = folder / "my_predictor.py"
    path.write_text(text)
    return load(path, folder)


def test_the_steps_of_a_predictor(tmp_path: Path) -> None:
    text = """
def load(model_dir): return [model_dir]
def preprocess(instances): return [x + 1 for x in instances]
def predict(model, instances): return [x * 10 for x in instances]
def postprocess(predictions): return [str(x) for x in predictions]
"""
    assert predictor(tmp_path, text).predict([1, 2], {}) == ["20", "30"]


def test_a_predictor_with_parameters_and_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_predictor.py").write_text("FACTOR = 3")
    text = """
from neighbour_of_predictor import FACTOR
class Model: pass
def load(model_dir): return Model()
def predict(model, instances, parameters): return [FACTOR * parameters.get("k", 1) for _ in instances]
"""
    model = predictor(tmp_path, text)
    assert model.predict([1], {"k": 2}) == [6]
    assert model.predict([1], {}) == [3]


def test_a_pickle_that_refers_to_the_predictors_classes(tmp_path: Path) -> None:
    text = """
import pathlib, pickle
class Model:
    factor = 2
def load(model_dir): return pickle.loads(b"cmy_pickled\\nModel\\n)\\x81.")
def predict(model, instances): return [model.factor * x for x in instances]
"""
    path = tmp_path / "my_pickled.py"
    path.write_text(text)
    assert load(path, tmp_path).predict([4], {}) == [8]


def test_a_predictor_named_like_a_module(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text("def load(d): return 1\ndef predict(m, rows): return [m for _ in rows]")
    assert load(path, tmp_path).predict([0], {}) == [1]
    assert json.loads("1") == 1


# --- small parts ---


def test_the_first_of_two_equal_routes_counts() -> None:
    routes = Routes([Route("GET", "/a", lambda _: Response(201)), Route("GET", "/a", lambda _: Response(202))])
    assert routes.find("GET", "/a").answer(Request("GET", "/a")).status == 201


def test_patterns() -> None:
    routes = Routes(
        [Route("GET", "/v1/*/x.y/*", lambda _: Response(200)), Route("POST", "/v1/*/x.y/*:go", lambda _: Response(200))]
    )
    assert routes.find("GET", "/v1/1/x.y/2").method == "GET"
    assert routes.find("POST", "/v1/1/x.y/2:go").method == "POST"
    for path in ("/v1//x.y/2", "/v1/1/xzy/2", "/v1/1/x.y/2/3", "/v1/1/x.y/"):
        with pytest.raises(HttpError) as caught:
            routes.find("GET", path)
        assert caught.value.status == 404


def test_the_end_of_a_drain() -> None:
    now = [0.0]
    lifecycle = Lifecycle(clock=lambda: now[0])
    lifecycle.loaded = True
    assert lifecycle.ready
    assert not lifecycle.drained(1.0)
    now[0] = 10.0
    lifecycle.drain()
    assert not lifecycle.ready
    assert not lifecycle.drained(1.0)  # nothing came yet since
    now[0] = 11.0
    assert lifecycle.drained(1.0)
    with lifecycle.request():
        assert not lifecycle.drained(1.0)
        lifecycle.worked()
    assert not lifecycle.drained(1.0)
    now[0] = 12.5
    assert lifecycle.drained(1.0)


def test_labels_are_escaped() -> None:
    stats = Stats({"model": 'a"b\\c\nd'})
    stats.record("/x", 200, 0.003)
    text = stats.exposition(ready=True, in_flight=0, captured=0, dropped=0)
    assert 'cloudops_requests_total{model="a\\"b\\\\c\\nd",route="/x",status="200"} 1' in text
    assert 'cloudops_request_seconds_bucket{model="a\\"b\\\\c\\nd",route="/x",le="0.0025"} 0' in text
    assert 'cloudops_request_seconds_bucket{model="a\\"b\\\\c\\nd",route="/x",le="0.005"} 1' in text
