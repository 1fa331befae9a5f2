from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudops.runtime import platforms
from cloudops.runtime.errors import Problem


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def ml(tmp_path: Path) -> Path:
    config = tmp_path / "input" / "config"
    write(config / "inputdataconfig.json", {"train": {"TrainingInputMode": "File"}, "Test": {}})
    write(config / "resourceconfig.json", {"current_host": "algo-2", "hosts": ["algo-10", "algo-1", "algo-2"]})
    parameters = {"lr": "0.1", "n": "3", "flag": "true", "name": '"abc"', "text": "abc", "list": "[1, 2]", "v": "1e5"}
    write(config / "hyperparameters.json", {**parameters, "zip": "007"})
    return tmp_path


def test_sagemaker(ml: Path) -> None:
    contract = platforms.contract({"TRAINING_JOB_NAME": "x", "SM_CHANNEL_EXTRA": "/extra"}, ml)
    assert contract.cloud == "sagemaker"
    assert contract.inputs == {
        "extra": "/extra",
        "train": str(ml / "input/data/train"),
        "Test": str(ml / "input/data/Test"),
    }
    assert contract.model_dir == str(ml / "model")
    assert contract.output_dir == str(ml / "output" / "data")
    assert contract.checkpoint_dir == str(ml / "checkpoints")
    assert contract.failure_file == str(ml / "output" / "failure")
    assert (contract.rank, contract.world_size) == (1, 3)  # algo-10 comes last
    assert (contract.master_addr, contract.master_port) == ("algo-1", 7777)


def test_sagemakers_parameters_keep_their_text(ml: Path) -> None:
    assert platforms.contract({}, ml).params == {
        "lr": 0.1,
        "n": 3,
        "flag": True,
        "name": "abc",
        "text": "abc",
        "list": [1, 2],
        "v": "1e5",
        "zip": "007",
    }


def test_azureml() -> None:
    environ = {
        "AZUREML_RUN_ID": "r",
        "AZURE_ML_INPUT_train": "/mnt/train",
        "AZURE_ML_OUTPUT_model": "/mnt/model",
        "AZURE_ML_OUTPUT_data": "/mnt/data",
        "RANK": "3",
        "WORLD_SIZE": "4",
        "MASTER_ADDR": "10.0.0.4",
        "MASTER_PORT": "6105",
    }
    contract = platforms.contract(environ, Path("/nowhere"))
    assert contract.cloud == "azureml"
    assert contract.inputs == {"train": "/mnt/train"}
    assert contract.outputs == {"model": "/mnt/model", "data": "/mnt/data"}
    assert (contract.model_dir, contract.output_dir) == ("/mnt/model", "outputs")
    assert (contract.rank, contract.world_size, contract.master_addr, contract.master_port) == (3, 4, "10.0.0.4", 6105)


def cluster(kind: str, index: int) -> str:
    pools = {"workerpool0": ["a-0:2222"], "workerpool1": ["b-0:2222", "b-1:2222"]}
    return json.dumps({"cluster": pools, "environment": "cloud", "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("kind", "index", "rank"), [("workerpool0", 0, 0), ("workerpool1", 0, 1), ("workerpool1", 1, 2)]
)
def test_vertex(kind: str, index: int, rank: int) -> None:
    environ = {
        "CLOUD_ML_JOB_ID": "1",
        "AIP_MODEL_DIR": "gs://bucket/run/model/",
        "AIP_CHECKPOINT_DIR": "gs://bucket/run/checkpoints/",
        "CLUSTER_SPEC": cluster(kind, index),
    }
    contract = platforms.contract(environ, Path("/nowhere"))
    assert contract.cloud == "vertex"
    assert contract.model_dir == "/gcs/bucket/run/model/"
    assert contract.checkpoint_dir == "/gcs/bucket/run/checkpoints/"
    assert contract.output_dir == "/gcs/bucket/run/output"
    assert (contract.rank, contract.world_size, contract.master_addr, contract.master_port) == (rank, 3, "a-0", 2222)


def test_vertex_with_one_replica() -> None:
    contract = platforms.contract({"AIP_MODEL_DIR": "gs://b/m"}, Path("/nowhere"))
    assert (contract.rank, contract.world_size, contract.master_addr) == (0, 1, "127.0.0.1")


def test_local() -> None:
    environ = {
        "CLOUDOPS_CLOUD": "local",
        "CLOUDOPS_INPUT_TRAIN": "/t",
        "CLOUDOPS_OUTPUT_DATA": "/d",
        "CLOUDOPS_OUTPUT_DIR": "/o",
        "CLOUDOPS_PARAMS": '{"lr": 0.1}',
        "CLOUDOPS_RANK": "1",
        "CLOUDOPS_WORLD_SIZE": "2",
        "CLOUDOPS_MASTER_PORT": "4242",
        "AIP_MODEL_DIR": "gs://not/this",
    }
    contract = platforms.contract(environ, Path("/nowhere"))
    assert (contract.cloud, contract.inputs, contract.outputs) == ("local", {"train": "/t"}, {"data": "/d"})
    assert (contract.model_dir, contract.output_dir, contract.params) == ("model", "/o", {"lr": 0.1})
    assert (contract.rank, contract.world_size, contract.master_port) == (1, 2, 4242)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"CLOUDOPS_CLOUD": "aws"}, "CLOUDOPS_CLOUD is 'aws'; expected one of local, sagemaker, azureml, vertex"),
        ({"CLOUDOPS_RANK": "one"}, "CLOUDOPS_RANK is 'one'; expected a whole number"),
        ({"CLOUDOPS_PARAMS": "{"}, "CLOUDOPS_PARAMS is not JSON"),
        ({"CLOUDOPS_PARAMS": "[]"}, "CLOUDOPS_PARAMS must hold a JSON object, not list"),
        ({"AIP_MODEL_DIR": "/m", "CLUSTER_SPEC": "x"}, "CLUSTER_SPEC is not JSON"),
    ],
)
def test_a_damaged_platform(environ: dict[str, str], message: str) -> None:
    with pytest.raises(Problem) as caught:
        platforms.contract(environ, Path("/nowhere"))
    assert str(caught.value).startswith(message)


def test_a_host_that_is_not_in_its_cluster(ml: Path) -> None:
    write(ml / "input" / "config" / "resourceconfig.json", {"current_host": "algo-9", "hosts": ["algo-1"]})
    with pytest.raises(Problem, match="'algo-9' is not among its hosts"):
        platforms.contract({}, ml)
