"""Why a batch failed: one line, whatever the log has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import cloudops
from cloudops.errors import JobFailed
from cloudops.handles import Job
from cloudops.offline import OfflineCloud
from cloudops.specs import BatchSpec
from cloudops.testing.projects import configure, write_project

Start = Callable[[str], Job]


@pytest.fixture
def start(tmp_path: Path, cloudops_offline: OfflineCloud) -> Start:
    def start(predictor: str) -> Job:
        write_project(tmp_path)
        configure(tmp_path, name="small")
        (tmp_path / "serve" / "mine.py").write_text(predictor)
        (tmp_path / "data" / "rows.csv").write_text("x,y\n1,2\n")
        spec = BatchSpec(data="data/rows.csv", model="models/two", predictor="serve/mine.py")
        return cloudops.connect(provider="sagemaker", root=tmp_path).batch(spec)

    return start


@pytest.mark.parametrize(
    ("predictor", "reason"),
    [
        (
            "def load(folder): ...\ndef predict(model, rows): return [row['gone'] for row in rows]\n",
            "the model failed: KeyError: 'gone'",
        ),
        (
            "def load(folder): raise RuntimeError('no weights')\ndef predict(model, rows): ...\n",
            "the model could not be loaded: RuntimeError: no weights",
        ),
        ("import nothing_such\n", "the model could not be loaded: ModuleNotFoundError: No module named 'nothing_such'"),
    ],
)
def test_a_failed_batch_has_the_reason_of_the_model(start: Start, predictor: str, reason: str) -> None:
    job = start(predictor)
    with pytest.raises(JobFailed) as caught:
        job.wait(60)
    assert caught.value.message == f"the job {job.ref.id} failed: {reason}"


def test_containers_that_ended_before_the_hooks_are_explained_by_their_last_error(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudops_sagemaker import logs

    monkeypatch.setattr(logs, "_UNLOADED", "never printed")
    with pytest.raises(JobFailed, match="could not be loaded: RuntimeError: no weights;"):
        start("def load(folder): raise RuntimeError('no weights')\ndef predict(model, rows): ...\n").wait(60)
