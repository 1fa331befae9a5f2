"""Every example runs as its README says, through the command line, on a copy of its folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cloudops.offline import OfflineCloud

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
CLI = str(Path(sys.executable).with_name("cloudops"))

Cli = Callable[..., Any]


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Callable[[str], Cli]]:
    folders = []

    def copy(name: str) -> Cli:
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns(".cloudops", "__pycache__"))
        folders.append(folder)

        def cli(*arguments: str, code: int = 0) -> Any:
            done = subprocess.run(
                [CLI, *arguments, "-o", "json"], cwd=folder, capture_output=True, text=True, timeout=280, check=False
            )
            assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
            return json.loads(done.stdout)

        return cli

    yield copy
    for folder in folders:
        subprocess.run([CLI, "down", "--yes"], cwd=folder, capture_output=True, check=True)


def test_flights(example: Callable[[str], Cli]) -> None:
    cli = example("flights")
    check_flights(cli("run"))
    [model] = cli("models")
    assert set(model["lineage"]["data"]) == {"train"}


@pytest.mark.slow
def test_flights_is_the_same_on_sagemaker(example: Callable[[str], Cli], cloudops_offline: OfflineCloud) -> None:
    cli = example("flights")
    here = cli("run", "--set", "monitor.replay={}")
    there = cli("run", "--provider", "sagemaker")
    check_flights(there)
    for step in ("train", "evaluate"):
        assert there[step]["metrics"] == pytest.approx(here[step]["metrics"], rel=0, abs=1e-6)
    assert "amazonaws.com" in there["deploy"]["url"]
    rows = json.dumps(there["deploy"]["prediction"]["row"])
    predicted = [cli("predict", "--row", rows, *where)["predictions"] for where in ((), ("--provider", "sagemaker"))]
    assert predicted[0] == predicted[1] == [there["deploy"]["prediction"]["prediction"]]
    cli("down", "--yes", "--provider", "sagemaker")
    assert cli("jobs", "--provider", "sagemaker") == []
    assert cloudops_offline.egress() == []


def check_flights(result: Any) -> None:
    """What comes of the example wherever it runs."""
    assert result["train"]["metrics"]["rows"] == 105_475
    assert 0.74 < result["evaluate"]["metrics"]["auc"] < 0.76
    assert result["evaluate"]["passed"] is True
    assert 0 < result["deploy"]["prediction"]["prediction"] < 1
    monitor = result["monitor"]
    assert monitor["verdict"] == "drift"
    for period in ("june", "july"):
        assert {"temp", "dewp", "pressure"} <= set(monitor["periods"][period]["drifted"])
    assert monitor["drifted"][:2] == ["temp", "dewp"]
    assert "distance" not in monitor["drifted"]
    report = json.loads(Path(monitor["report"]).with_suffix(".json").read_text())
    psi = {
        (period["label"], column["name"]): column["psi"] for period in report["periods"] for column in period["columns"]
    }
    assert psi["june", "temp"] == pytest.approx(7.85, abs=0.01)
    assert psi["july", "dewp"] == pytest.approx(8.08, abs=0.01)
    assert psi["june", "pressure"] == pytest.approx(1.0, abs=0.01)
    assert psi["july", "distance"] == pytest.approx(0.017, abs=0.005)


def test_quickstart(example: Callable[[str], Cli]) -> None:
    assert len((EXAMPLES / "quickstart" / "train.py").read_text().splitlines()) < 40
    cli = example("quickstart")
    assert cli("run")["train"]["metrics"]["accuracy"] > 0.9
    row = json.dumps(list(range(1, 31)))
    assert cli("predict", "--row", row)["predictions"] in ([0], [1])


def test_custom_predictor(example: Callable[[str], Cli]) -> None:
    cli = example("custom_predictor")
    cli("run")
    row = '{"text": "a good, slow day"}'
    assert cli("predict", "--row", row)["predictions"] == [{"score": 0.0, "mood": "even"}]
    refused = cli("predict", "--row", '{"txt": "a good day"}', code=3)
    assert "instance 0: expected an object with a text" in refused["error"]["message"]


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is an optional extra and not installed here")
def test_pytorch(example: Callable[[str], Cli]) -> None:
    cli = example("pytorch")
    assert cli("run")["train"]["metrics"]["accuracy"] > 0.9
    [scores] = cli("predict", "--row", json.dumps([0.0] * 64))["predictions"]
    assert len(scores) == 10


def test_a_scaffolded_project_runs(tmp_path: Path) -> None:
    def cli(*arguments: str) -> Any:
        done = subprocess.run(
            [CLI, *arguments, "-o", "json"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    cli("init", ".", "--name", "fresh")
    try:
        result = cli("run")
        assert result["evaluate"]["metrics"]["accuracy"] > 0.9
        assert result["monitor"]["verdict"] == "ok"
        assert 0 <= result["deploy"]["prediction"]["prediction"] <= 1
    finally:
        cli("down", "--yes")
