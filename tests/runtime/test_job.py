from __future__ import annotations

import os
from pathlib import Path

import pytest

import cloudops.runtime as runtime


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for key in list(os.environ):
        if key.startswith("CLOUDOPS_") or key in ("RANK", "WORLD_SIZE"):
            monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)


def test_inside_a_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {
        "CLOUDOPS_INPUT_TRAIN": "/data/train",
        "CLOUDOPS_OUTPUT_DATA": "/out/data",
        "CLOUDOPS_OUTPUT_DIR": "/out",
        "CLOUDOPS_MODEL_DIR": "/model",
        "CLOUDOPS_CHECKPOINT_DIR": "/checkpoints",
        "CLOUDOPS_PARAMS": '{"lr": 0.1, "who": "me"}',
        "CLOUDOPS_RANK": "2",
        "CLOUDOPS_WORLD_SIZE": "4",
        "CLOUDOPS_CLOUD": "vertex",
    }
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    assert runtime.input_path("train") == Path("/data/train")
    assert runtime.output_dir("data") == Path("/out/data")
    assert runtime.output_dir() == Path("/out")
    assert runtime.model_dir() == Path("/model")
    assert runtime.checkpoint_dir() == Path("/checkpoints")
    assert runtime.params() == {"lr": 0.1, "who": "me"}
    assert (runtime.rank(), runtime.world_size(), runtime.cloud()) == (2, 4, "vertex")
    assert list(tmp_path.iterdir()) == []


def test_a_launchers_own_rank_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDOPS_RANK", "0")
    monkeypatch.setenv("RANK", "5")
    assert runtime.rank() == 5


def test_outside_a_job(tmp_path: Path) -> None:
    assert runtime.params() == {}
    assert (runtime.rank(), runtime.world_size(), runtime.cloud()) == (0, 1, "local")
    assert runtime.output_dir() == tmp_path / "output"
    assert runtime.model_dir() == tmp_path / "model"
    assert runtime.checkpoint_dir() == tmp_path / "checkpoints"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "model", "output"]


def test_an_input_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LookupError, match=r"no input 'train' \(it has no inputs\).*set CLOUDOPS_INPUT_TRAIN to a path"):
        runtime.input_path("train")
    monkeypatch.setenv("CLOUDOPS_INPUT_TEST", "/x")
    with pytest.raises(LookupError, match=r"it has test\)"):
        runtime.input_path("train")
    with pytest.raises(LookupError, match="no output 'data'"):
        runtime.output_dir("data")


def test_the_public_names() -> None:
    assert set(runtime.__all__) <= set(dir(runtime))
    for name in runtime.__all__:
        assert getattr(runtime, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = runtime.nothing
