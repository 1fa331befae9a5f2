"""Models of every kind that is understood, made by their libraries and loaded by the runtime."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from cloudops.runtime.errors import BadRequest, Problem
from cloudops.runtime.models import find
from cloudops.runtime.models.rows import TensorSpec
from cloudops.runtime.plain import plain

RNG = np.random.default_rng(7)
X = RNG.normal(size=(200, 3))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
FRAME = pd.DataFrame(X, columns=["a", "b", "größe"])
ROWS = X[:4].tolist()
RECORDS = FRAME[:4].to_dict("records")


def predict(model: Any, rows: list[Any], **parameters: Any) -> Any:
    return plain(model.predict(rows, parameters))


# --- scikit-learn ----------------------------------------------------------------------------------------------------


def saved(folder: Path, model: Any, name: str = "model.joblib") -> Any:
    joblib.dump(model, folder / name)
    return find(folder)


def test_sklearn_on_an_array(tmp_path: Path) -> None:
    fitted = LogisticRegression().fit(X, Y)
    model = saved(tmp_path, fitted)
    assert predict(model, ROWS) == fitted.predict(X[:4]).tolist()
    assert model.framework == "sklearn"
    assert model.inputs() == [TensorSpec("input", "FP64", (-1, 3))]


def test_sklearn_on_named_columns(tmp_path: Path) -> None:
    fitted = LogisticRegression().fit(FRAME, Y)
    model = saved(tmp_path, fitted)
    expected = fitted.predict(FRAME[:4]).tolist()
    shuffled = [{key: row[key] for key in ("größe", "a", "b")} | {"id": 9} for row in RECORDS]
    assert predict(model, RECORDS) == predict(model, shuffled) == predict(model, ROWS) == expected
    assert [each.name for each in model.inputs()] == ["a", "b", "größe"]


@pytest.mark.parametrize("name", ["clf.pkl", "clf.pickle", "model.joblib"])
def test_sklearn_in_a_plain_pickle(tmp_path: Path, name: str) -> None:
    fitted = LogisticRegression().fit(X, Y)
    (tmp_path / name).write_bytes(pickle.dumps(fitted))
    assert predict(find(tmp_path), ROWS) == fitted.predict(X[:4]).tolist()


def test_sklearn_with_categories_and_missing_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": X[:, 0], "origin": RNG.choice(["EWR", "JFK"], 200)})
    table.loc[::5, "x"] = np.nan
    encoder = make_column_transformer((OneHotEncoder(), ["origin"]), remainder="passthrough", sparse_threshold=0)
    fitted = make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=5)).fit(table, Y)
    model = saved(tmp_path, fitted)
    rows = [{"x": None, "origin": "JFK"}, {"x": 1, "origin": "EWR"}]
    expected = fitted.predict(pd.DataFrame({"x": [np.nan, 1.0], "origin": ["JFK", "EWR"]})).tolist()
    assert predict(model, rows) == expected
    assert predict(model, rows[:1]) == expected[:1]  # a column of nothing but None
    assert predict(model, [[None, "JFK"]]) == expected[:1]
    with pytest.raises(BadRequest, match="Found unknown categories"):
        predict(model, [{"x": 1, "origin": "LGA"}])
    assert model.inputs() == []


def test_sklearn_on_texts(tmp_path: Path) -> None:
    fitted = make_pipeline(CountVectorizer(), LogisticRegression()).fit(["good day", "bad day"] * 5, ["+", "-"] * 5)
    assert predict(saved(tmp_path, fitted), ["good", "so bad"]) == ["+", "-"]


def test_sklearn_on_single_numbers(tmp_path: Path) -> None:
    model = saved(tmp_path, LinearRegression().fit([[0], [1]], [1, 3]))
    assert predict(model, [2, 3.0]) == pytest.approx([5, 7])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2]], "row 0 has 2 values, not 3; the model's columns are a, b, größe"),
        ([[1, 2, 3], [1]], "row 1 has 1 values, not 3; the model's columns are a, b, größe"),
        ([None], "row 0 is a single value; it must have 3; the model's columns are a, b, größe"),
        ([{"a": 1, "b": 1, "größe": 2}, [1, 2, 3]], "row 1 is a list and row 0 is an object"),
        ([{"a": 1, "größe": 2}], "row 0 lacks 'b'; the model's columns are a, b, größe"),
        ([[1, 2, None]], "the model refuses these rows: Input X contains NaN"),
        ([[1, 2, "x"]], "(columns with text in these rows: 'größe')"),
    ],
)
def test_rows_that_do_not_fit_named_columns(tmp_path: Path, rows: list[Any], message: str) -> None:
    model = saved(tmp_path, LogisticRegression().fit(FRAME, Y))
    with pytest.raises(BadRequest) as caught:
        predict(model, rows)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2]], "row 0 has 2 values, not 3"),
        ([{"a": 1}], "this model knows no column names; send each row as a list of values"),
        ([[1, 2, [3]]], "the rows are not numbers in lists of one shape"),
        ([[1, 2, {"a": 1}]], "row 0, value 2 is \"{'a': 1}\", not a number"),
        ([1], "row 0 is a single value; it must have 3"),
        ([None], "row 0 is a single value; it must have 3"),
        ([[1, 2, 3], [1, 2]], "row 1 has 2 values, not 3"),
        ([[1, 2, 3], {"a": 1}], "row 1 is an object and row 0 is a list; send one kind of rows"),
    ],
)
def test_rows_that_do_not_fit_an_array(tmp_path: Path, rows: list[Any], message: str) -> None:
    model = saved(tmp_path, LogisticRegression().fit(X, Y))
    with pytest.raises(BadRequest) as caught:
        predict(model, rows)
    assert str(caught.value).startswith(message)


def test_parameters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="takes no parameters"):
        predict(saved(tmp_path, LogisticRegression().fit(X, Y)), ROWS, temperature=1)


def test_a_pickle_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"model.joblib holds a dict, which has no predict\(\); set a predictor"):
        saved(tmp_path, {"weights": [1]})


def test_without_pandas(tmp_path: Path) -> None:
    """A container may have no pandas: named columns are put in order all the same."""
    fitted = LogisticRegression().fit(FRAME, Y)
    joblib.dump(fitted, tmp_path / "model.joblib")
    code = """
import json, pathlib, sys, warnings
class Nothing:
    def find_spec(self, name, *_):
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Nothing())
warnings.simplefilter("ignore")
from cloudops.runtime.models import find
print(find(pathlib.Path(sys.argv[1])).predict(json.loads(sys.argv[2]), {}).tolist())
"""
    argv = [sys.executable, "-c", code, str(tmp_path), json.dumps([dict(reversed(row.items())) for row in RECORDS])]
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert json.loads(output) == fitted.predict(FRAME[:4]).tolist()


# --- XGBoost ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.ubj", "model.json"])
@pytest.mark.parametrize("named", [True, False])
def test_xgboost(tmp_path: Path, name: str, named: bool) -> None:
    xgboost = pytest.importorskip("xgboost")
    names = ["a", "b", "c"] if named else None
    data = xgboost.DMatrix(X, Y, feature_names=names)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1}, data, 3)
    booster.save_model(tmp_path / name)
    (tmp_path / "lineage.json").write_text('{"not": "a model"}')
    model = find(tmp_path)
    expected = pytest.approx(booster.predict(data)[:4].tolist())
    assert predict(model, ROWS) == expected
    assert [each.name for each in model.inputs()] == (names or ["input"])
    if named:
        assert predict(model, [{"c": c, "a": a, "b": b} for a, b, c in ROWS]) == expected
    assert len(predict(model, [[None, 1, 2]])) == 1
    with pytest.raises(BadRequest, match="row 0 has 2 values, not 3"):
        predict(model, [[1, 2]])
    with pytest.raises(BadRequest, match="row 0, value 1 is 'x', not a number"):
        predict(model, [[1, "x", 2]])


# --- ONNX ------------------------------------------------------------------------------------------------------------


def test_onnx_with_one_matrix(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    fitted = LogisticRegression().fit(X, Y)
    converted = skl2onnx.to_onnx(fitted, X[:1].astype("float32"), options={"zipmap": False})
    (tmp_path / "model.onnx").write_bytes(converted.SerializeToString())
    model = find(tmp_path)
    assert predict(model, ROWS) == fitted.predict(X[:4]).tolist()
    assert model.inputs() == [TensorSpec("X", "FP32", (-1, 3))]
    assert predict(model, [{"X": row} for row in ROWS]) == fitted.predict(X[:4]).tolist()
    with pytest.raises(BadRequest, match=r"each row of 'X' must have shape \[3\], not \[2\]"):
        predict(model, [[1, 2]])
    with pytest.raises(BadRequest, match="send each row as a list"):
        predict(model, [{"y": 1}])


def test_onnx_with_several_inputs(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    types = pytest.importorskip("skl2onnx.common.data_types")
    table = pd.DataFrame({"x": X[:, 0], "origin": RNG.choice(["EWR", "JFK"], 200)})
    encoder = make_column_transformer((OneHotEncoder(), ["origin"]), remainder="passthrough", sparse_threshold=0)
    fitted = make_pipeline(encoder, LogisticRegression()).fit(table, Y)
    initial = [("x", types.FloatTensorType([None, 1])), ("origin", types.StringTensorType([None, 1]))]
    converted = skl2onnx.convert_sklearn(fitted, initial_types=initial, options={"zipmap": False})
    (tmp_path / "model.onnx").write_bytes(converted.SerializeToString())
    model = find(tmp_path)
    expected = fitted.predict(table[:5]).tolist()
    assert predict(model, table[:5].to_dict("records")) == expected
    assert predict(model, table[:5].values.tolist()) == expected
    assert [(each.name, each.datatype) for each in model.inputs()] == [("x", "FP32"), ("origin", "BYTES")]
    with pytest.raises(BadRequest, match="row 0 lacks 'origin'"):
        predict(model, [{"x": 1}])
    with pytest.raises(BadRequest, match="row 0 is a single value; it must have 2; the model's columns are x, origin"):
        predict(model, [1])


# --- TorchScript -----------------------------------------------------------------------------------------------------


def test_torchscript(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Softmax(dim=1))
    torch.jit.script(module).save(tmp_path / "model.pt")
    model = find(tmp_path)
    expected = module(torch.tensor(ROWS, dtype=torch.float32)).tolist()
    assert np.allclose(predict(model, ROWS), expected, atol=1e-6)
    with pytest.raises(BadRequest, match="not a number"):
        predict(model, [["x", 1, 2]])


def test_a_state_dict_is_no_torchscript(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(3, 1).state_dict(), tmp_path / "model.pt")
    with pytest.raises(Problem, match="is no TorchScript file; save the model with"):
        find(tmp_path)


# --- MLflow ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mlflow_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sklearn_flavor = pytest.importorskip("mlflow.sklearn")
    signatures = pytest.importorskip("mlflow.models")
    folder = tmp_path_factory.mktemp("mlflow")
    fitted = LogisticRegression().fit(FRAME, Y)
    common = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
    signature = signatures.infer_signature(FRAME, fitted.predict(FRAME))
    sklearn_flavor.save_model(fitted, folder / "signed" / "model", signature=signature, **common)
    sklearn_flavor.save_model(LogisticRegression().fit(X, Y), folder / "unsigned", **common)
    return folder


def test_mlflow_with_a_signature(mlflow_models: Path) -> None:
    model = find(mlflow_models / "signed")  # the model is one folder down
    expected = LogisticRegression().fit(FRAME, Y).predict(FRAME[:4]).tolist()
    assert model.framework == "mlflow"
    assert model.inputs() == [TensorSpec(name, "FP64", (-1,)) for name in FRAME.columns]
    assert predict(model, RECORDS) == predict(model, ROWS) == expected
    assert len(predict(model, [{"a": 1, "b": 2, "größe": 3}, {"a": 0, "b": 0, "größe": 7}])) == 2
    with pytest.raises(BadRequest, match="row 0 lacks 'b', 'größe'"):
        predict(model, [{"a": 1}])
    with pytest.raises(BadRequest, match="Can not safely convert"):
        predict(model, [{"a": "x", "b": 1, "größe": 1}])


def test_mlflow_without_a_signature(mlflow_models: Path) -> None:
    expected = LogisticRegression().fit(X, Y).predict(X[:4]).tolist()
    assert predict(find(mlflow_models / "unsigned"), ROWS) == expected


# --- which file it is ------------------------------------------------------------------------------------------------


def test_a_models_file_instead_of_its_folder(tmp_path: Path) -> None:
    fitted = LogisticRegression().fit(X, Y)
    joblib.dump(fitted, tmp_path / "one.joblib")
    joblib.dump(fitted, tmp_path / "two.joblib")
    assert predict(find(tmp_path / "two.joblib"), ROWS) == fitted.predict(X[:4]).tolist()


def test_the_one_called_model_is_taken(tmp_path: Path) -> None:
    joblib.dump({"a": "scaler"}, tmp_path / "scaler.joblib")
    assert saved(tmp_path, LogisticRegression().fit(X, Y)).framework == "sklearn"


def test_several_models(tmp_path: Path) -> None:
    for name in ("a.joblib", "b.onnx"):
        (tmp_path / name).touch()
    with pytest.raises(Problem, match=r"has several models \(a.joblib, b.onnx\); name one of them model\.\*"):
        find(tmp_path)


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"no model that is understood \(it is empty\)"):
        find(tmp_path)
    (tmp_path / "weights.h5").touch()
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(Problem, match=r"\(it holds metrics.json, weights.h5\); understood are MLflow: MLmodel, scikit"):
        find(tmp_path)
    with pytest.raises(Problem, match=r"gone does not exist; set CLOUDOPS_MODEL_DIR"):
        find(tmp_path / "gone")


def test_a_library_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.ubj").write_bytes(b"{L")
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(Problem, match=r"model.ubj \(XGBoost\) needs xgboost, which is not installed; add it to req"):
        find(tmp_path)


def test_a_pickle_of_a_library_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.pkl").write_bytes(b"csklearn.no_such_module\nThing\n.")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(Problem, match="needs scikit-learn, which is not installed"):
        find(tmp_path)
