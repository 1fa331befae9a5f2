"""What stands before a refusal: the file and the line, or nothing where the spec came from Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cloudops_local.layout import Layout

import cloudops
from cloudops.errors import CloudopsError, ConfigError, NoCapacity, UnsupportedFeature
from cloudops.session import Session
from cloudops.specs import DeploySpec, MonitorSpec, Resources
from cloudops.testing.projects import configure, deployment, job


def configured(root: Path, **content: Any) -> Session:
    return cloudops.connect(file=configure(root, name="small", **content), environ={})


def train(**fields: Any) -> dict[str, Any]:
    return {"code": "code", "command": "python job.py nothing", **fields}


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"framework": "sklaern@1"}, ConfigError, "train.framework: local does not know 'sklaern@1'"),
        ({"resources": {"cpus": 4096}}, NoCapacity, "train.resources.cpus: asks for 4096 CPUs"),
        ({"code": "gone"}, ConfigError, "train.code: 'gone' does not exist"),
        ({"secrets": ["UNSET"]}, ConfigError, "train.secrets[0]: UNSET is not set"),
        ({"image": "ubuntu"}, UnsupportedFeature, "train.image: local has no image"),
    ],
)
def test_a_refusal_of_the_file_names_its_line_once_whatever_asks(
    root: Path, fields: dict[str, Any], error: type[CloudopsError], message: str
) -> None:
    session = configured(root, train=train(**fields))
    for call in (session.validate, session.train, lambda: session.plan("train")):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith(f"{root / 'cloudops.yaml'}:1: {message}")
        assert caught.value.message == caught.value.args[0]
    assert session.created() == []


def test_a_refusal_of_a_spec_from_python_names_no_file(root: Path) -> None:
    session = configured(root, train=train())
    with pytest.raises(NoCapacity, match=r"^train\.resources\.memory: asks for 99999 GB"):
        session.train(job("nothing", resources=Resources(memory="99999")))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^deploy\.predictor: 'gone\.py' does not exist"):
        session.deploy(DeploySpec(endpoint="small", model="models/two", predictor="gone.py"))
    with pytest.raises(ConfigError, match=r"^monitor\.reference: 'gone\.csv' does not exist"):
        session.monitor(MonitorSpec(endpoint="small", reference="gone.csv"))
    with pytest.raises(ConfigError, match=r"^evaluate\.model: 'gone' does not exist"):
        session.evaluate(cloudops.EvaluateSpec(command="true", code="code"), model="gone")
    with pytest.raises(ConfigError, match=r"^evaluate\.model: 'cloudops://x' is not a cloudops URI"):
        session.evaluate(cloudops.EvaluateSpec(command="true", code="code"), model="cloudops://x")


def test_an_image_that_a_model_was_trained_in_is_refused_where_there_are_no_images(
    session: Session, layout: Layout
) -> None:
    done = session.train(job("model", "2"))
    done.wait()
    path = layout.job(done.ref.id).lineage
    lineage = json.loads(path.read_text())
    path.write_text(json.dumps({**lineage, "environment": {"image": "registry.example/train:1"}}))
    with pytest.raises(UnsupportedFeature, match=r"deploy\.image: local has no image") as caught:
        session.deploy(deployment("small", None), model=done.model().uri)
    assert "name a framework under deploy" in str(caught.value)
    assert list(session.endpoints()) == []
    session.deploy(deployment("small", None, framework="sklearn@1.7"), model=done.model().uri).wait()


def test_a_damaged_table_is_refused_before_anything_is_created(root: Path) -> None:
    (root / "old.parquet").write_bytes(b"PAR1 and then nothing")
    reference = {"endpoint": "small", "reference": "${{inputs.x}}"}
    session = configured(root, train=train(inputs={"x": "old.parquet"}), monitor=reference)
    with pytest.raises(ConfigError, match=r"cloudops\.yaml:1: monitor\.reference: .*old\.parquet: cannot be read"):
        session.validate()
    assert session.created() == []
