"""``table``: rows as predictors get them become a frame or a 400, also in the predictors that we ship."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from cloudops.runtime import BadRequest, settings, table
from cloudops.runtime.app import App
from cloudops.runtime.messages import Request, Response
from cloudops.runtime.predictor import load

ROOT = Path(__file__).parents[2]


def test_columns_in_order_and_nothing_else() -> None:
    rows = [{"b": 1, "a": None, "c": "x", "more": 1}, {"c": None, "b": True, "a": 2.5}]
    found = table(rows, ["a", "b", "c"], numbers=["a", "b"])
    assert list(found) == ["a", "b", "c"]
    assert [str(kind) for kind in found.dtypes] == ["float64", "float64", "object"]
    assert math.isnan(found["a"][0])
    assert found["a"][1] == 2.5
    assert found["b"].tolist() == [1.0, 1.0]
    assert found["c"].tolist() == ["x", None]


def test_lists_and_no_rows_at_all() -> None:
    assert table([[1, 2], [3, 4]], ("x", "y")).to_numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert table([], ["x"]).dtypes.tolist() == [float]
    assert table([["u", 7]], ["x", "y"], numbers=False).to_numpy().tolist() == [["u", 7]]


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        ([{"a": 1}], {}, "row 0 lacks 'b'; the model's columns are a, b"),
        ([{"a": 1, "b": 2}, {"b": 2}], {}, "row 1 lacks 'a'"),
        ([None], {}, "row 0 is null; expected an object with a, b, or a list of these values"),
        ([[1, 2], "x"], {}, "row 1 is 'x'; expected an object with a, b, or a list of these values"),
        ([7], {}, "row 0 is 7; expected"),
        ([[1, 2], [1]], {}, "row 1 has 1 values, not 2; the model's columns are a, b"),
        ([[1, 2], {"a": 1, "b": 2}], {}, "row 1 is an object and row 0 is a list"),
        ([{"a": 1, "b": 2}, {"a": 1, "b": "2"}], {}, "row 1: 'b' is '2', not a finite number"),
        ([[1, [2]]], {}, "row 0: 'b' is [2], not a finite number"),
        ([[1, math.inf]], {}, "row 0: 'b' is inf, not a finite number"),
        ([[1, 10**400]], {}, "row 0: 'b' is 1000000"),
        ([[1, {"x": 1}]], {"numbers": False}, "row 0: 'b' is {'x': 1}, not a text, a number or a boolean"),
        ([[1, None]], {"missing": False}, "row 0: 'b' is missing, and this model needs every value"),
        ([[1, math.nan]], {"missing": False}, "row 0: 'b' is missing, and this model needs every value"),
        ({"a": 1, "b": 2}, {}, "the instances must be a list of rows, not a dict"),
    ],
)
def test_what_does_not_fit(rows: Any, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRequest) as caught:
        table(rows, ["a", "b"], **options)
    assert str(caught.value).startswith(reason)


def app_of(predictor: Path, model: Any, folder: Path) -> App:
    joblib.dump(model, folder / "model.joblib")
    app = App(dataclasses.replace(settings.read({}), model_dir=folder))
    app.loaded(load(predictor, folder))
    return app


def scored(app: App, body: Any) -> Response:
    return app.handle(Request("POST", "/score", {}, json.dumps(body).encode()))


@pytest.fixture
def scaffolded(tmp_path: Path) -> tuple[App, dict[str, Any]]:
    predictor = tmp_path / "scaffolded_predictor.py"
    predictor.write_text((ROOT / "cloudops/scaffold/files/predictor.py.txt").read_text())
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [4.0, 3.0, 2.0, 1.0]})
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, [0, 0, 1, 1])
    return app_of(predictor, model, tmp_path), {"x": 1, "y": 2}


@pytest.fixture
def flights(tmp_path: Path) -> tuple[App, dict[str, Any]]:
    # As examples/flights/src/train.py makes it, from rows that are made up.
    source = ROOT / "examples/flights/src"
    names: dict[str, Any] = {}
    exec((source / "features.py").read_text(), names)
    row = {**dict.fromkeys(names["NUMBERS"], 1.0), **dict.fromkeys(names["CATEGORIES"], "JFK")}
    frame = names["frame"]([{**row, "hour": hour} for hour in range(40)])
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    parts = [("categories", codes, names["CATEGORIES"]), ("numbers", "passthrough", names["NUMBERS"])]
    model = make_pipeline(ColumnTransformer(parts), HistGradientBoostingClassifier(max_iter=2))
    return app_of(source / "predictor.py", model.fit(frame, [0, 1] * 20), tmp_path), row


@pytest.mark.parametrize("shipped", ["scaffolded", "flights"])
def test_the_predictors_that_we_ship(shipped: str, request: pytest.FixtureRequest) -> None:
    app, row = request.getfixturevalue(shipped)
    number, first = next(iter(row)), {"scaffolded": "x", "flights": "day"}[shipped]
    assert scored(app, [row, {**row, "unknown column": []}]).status == 200
    assert scored(app, [list(row.values())]).status == 200
    for body, reason in [
        ([{"a": 1}], f"row 0 lacks '{first}'"),
        ([None], "row 0 is null; expected an object with"),
        ([[1]], f"row 0 has 1 values, not {len(row)}"),
        ([row, {**row, number: "far"}], f"row 1: '{number}' is 'far', not a finite number"),
        ({"a": 1}, "the body must have 'instances'"),
        (None, "the body must be an object with 'instances'"),
    ]:
        answer = scored(app, body)
        assert (answer.status, json.loads(answer.body)["error"].startswith(reason)) == (400, True), answer.body


def test_a_missing_value_in_the_predictors_that_we_ship(
    scaffolded: tuple[App, dict[str, Any]], flights: tuple[App, dict[str, Any]]
) -> None:
    app, row = scaffolded
    assert b"row 0: 'x' is missing" in scored(app, [{**row, "x": None}]).body
    app, row = flights
    for changes in ({"temp": None}, {"origin": None}, {"origin": "unknown"}, {"origin": 5}, {"origin": True}):
        assert scored(app, [{**row, **changes}]).status == 200
    assert scored(app, [{**row, "origin": ["JFK"]}]).status == 400
