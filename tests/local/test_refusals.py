"""What stands before a refusal: the file and the line, or nothing where the spec came from Python."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from cloudops_local.layout import Layout

import cloudops
from cloudops.errors import CloudopsError, ConfigError, Conflict, GateFailed, NoCapacity, NotFound, UnsupportedFeature
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


DEPLOY = {"endpoint": "small", "model": "models/two", "predictor": "serve/predictor.py"}
CAPTURED = {**DEPLOY, "capture": {"sample": "100%"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"train": train(resources={"memory": "1", "num_nodes": 1000})},
            "train.resources.memory: asks",
        ),
        (
            {"deploy": {**DEPLOY, "min_replicas": 1000, "resources": {"memory": "1"}}},
            "deploy.resources.memory: ",
        ),
        (
            {"train": train(), "overrides": {"local": {"train": {"python": "/nope"}}}},
            "overrides.local.train.python: the interpreter '/nope' does not run: No such file",
        ),
        (
            {"deploy": DEPLOY, "overrides": {"local": {"deploy": {"python": "/bin/true"}}}},
            "overrides.local.deploy.python: '/bin/true' is not a Python interpreter",
        ),
        (
            {"deploy": DEPLOY, "monitor": {"endpoint": "other", "checks": {"errors": "1%"}}},
            "monitor.endpoint: local",
        ),
        ({"monitor": {"endpoint": "cloudops://local/x/endpoints/y", "checks": {"errors": "1%"}}}, "monitor.endpoint"),
        ({"deploy": DEPLOY, "monitor": {"reference": "data/part-1.csv"}}, "monitor.reference: the project's endpoint"),
        ({"deploy": DEPLOY, "monitor": {"checks": {"quality": {"missing": "1%"}}}}, "monitor.checks: the project's"),
        (
            {"deploy": {**DEPLOY, "capture": {"sample": "0%"}}, "monitor": {"reference": "data/part-1.csv"}},
            "monitor.reference: the project's endpoint captures no requests",
        ),
        (
            {
                "train": train(),
                "evaluate": {"command": "true", "code": "code", "model": "models/two", "require": {"auc": "> 0"}},
                "deploy": {"endpoint": "small"},
            },
            "evaluate.model: measures models/two, while ${{train.model}} is deployed",
        ),
    ],
)
def test_what_would_fail_in_the_end_is_refused_in_the_beginning(
    root: Path, content: dict[str, Any], message: str
) -> None:
    session = configured(root, **content)
    with pytest.raises(CloudopsError) as caught:
        session.validate()
    assert str(caught.value).startswith(f"{root / 'cloudops.yaml'}:1: {message}")
    assert session.created() == []


def test_a_port_that_is_taken_is_refused_in_the_beginning(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        overrides = {"local": {"deploy": {"port": taken.getsockname()[1]}}}
        session = configured(root, train=train(), deploy=DEPLOY, overrides=overrides)
        with pytest.raises(Conflict, match=r"overrides\.local\.deploy\.port: port .* is in use by another program"):
            session.validate()
    session.validate()
    session.deploy().wait()
    other = configured(root, train=train(), deploy=DEPLOY, overrides={"local": {"deploy": {"port": 1024}}})
    with pytest.raises(Conflict, match=r"overrides\.local\.deploy\.port: the endpoint listens on port .* delete it"):
        other.validate()
    session.down()


def test_the_gate_holds_for_the_model_that_is_deployed(root: Path) -> None:
    """Whichever model the file, or a flag, has measured."""
    measured = {"command": "python job.py model 2", "code": "code", "require": {"score": ">= 0"}}
    session = configured(root, train=train(), evaluate=measured, deploy={"endpoint": "small"})
    session.evaluate(model="models/two").wait()
    with pytest.raises(GateFailed, match="was not evaluated"):
        session.deploy(model="models/three")
    named = configured(root, evaluate={**measured, "model": "models/two"}, deploy=DEPLOY)
    with pytest.raises(GateFailed, match="was not evaluated"):
        named.deploy(model="models/three")
    assert session.created() == list(session.jobs())
    known = cloudops.connect(provider="local", project="small", root=root)
    with pytest.raises(GateFailed):  # the folder's file counts, though its project is named
        known.deploy(deployment("small", "three"))
    named.deploy(model="models/two").wait()
    session.down()


def test_references_of_a_spec_from_python_are_checked(session: Session) -> None:
    for spec, message in (
        (job("nothing", "${{params.nope}}"), r"train\.command: the reference \$\{\{params\.nope\}\} leads nowhere"),
        (job("nothing", envs={"A": "${{params.x}}"}), r"train\.envs\.A: the reference"),
    ):
        with pytest.raises(ConfigError, match=message):
            session.train(spec)
    with pytest.raises(ConfigError, match=r"deploy\.envs\.A: the reference"):
        session.deploy(deployment("small", envs={"A": "${{x}}"}))
    assert session.created() == []


def test_what_is_no_spec_is_refused(session: Session) -> None:
    for given in ({"command": "true"}, "true", deployment("small")):
        with pytest.raises(ConfigError, match="train takes a TrainSpec, got"):
            session.train(given)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="there is no step 'nope'"):
        session.validate(("nope",))
    with pytest.raises(ConfigError, match="is not a cloudops URI"):
        cloudops.attach(None)  # type: ignore[arg-type]


def test_a_version_that_cannot_be_one_is_refused(session: Session) -> None:
    endpoint = cloudops.attach(f"cloudops://local{session.root}/endpoints/small")
    assert isinstance(endpoint, cloudops.Endpoint)
    for version in ("a\nb", "é"):
        with pytest.raises(ConfigError, match="there is no version"):
            endpoint.predict([1], version=version)


def test_an_endpoint_of_another_project_is_not_found_by_name(root: Path) -> None:
    ours = cloudops.connect(provider="local", project="ours", root=root)
    others = cloudops.connect(provider="local", project="others", root=root)
    ours.deploy(deployment("small")).wait()
    assert ours.endpoint("small").ref.id == "small"
    with pytest.raises(NotFound, match="no endpoint 'small' in this project"):
        others.endpoint("small")
    ours.down()


@pytest.mark.parametrize("shares", [{}, {"a": 99}, {"a": float("nan")}, {"a": -1, "b": 101}, {"a": 50, "b": 51}])
def test_shares_that_are_none_are_refused(session: Session, shares: dict[str, float]) -> None:
    endpoint = cloudops.attach(f"cloudops://local{session.root}/endpoints/small")
    assert isinstance(endpoint, cloudops.Endpoint)
    with pytest.raises(ConfigError, match="expected percentages that add up to 100"):
        endpoint.traffic(shares)


def test_connect_takes_one_project(root: Path, tmp_path: Path) -> None:
    file = configure(root, name="small", train=train())
    assert cloudops.connect(project="small", root=root).config is not None
    assert cloudops.connect(project="other", root=root).config is None
    with pytest.raises(ConfigError, match="is the file of 'small', not of 'other'"):
        cloudops.connect(file=file, project="other")
    with pytest.raises(ConfigError, match="start in its folder, not in"):
        cloudops.connect(file=file, root=tmp_path)


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
    assert "name a framework here instead" in str(caught.value)
    assert list(session.endpoints()) == []
    session.deploy(deployment("small", None, framework="sklearn@1.7"), model=done.model().uri).wait()


def test_a_damaged_table_is_refused_before_anything_is_created(root: Path) -> None:
    (root / "old.parquet").write_bytes(b"PAR1 and then nothing")
    reference = {"endpoint": "small", "reference": "${{inputs.x}}"}
    session = configured(root, train=train(inputs={"x": "old.parquet"}), monitor=reference)
    with pytest.raises(ConfigError, match=r"cloudops\.yaml:1: monitor\.reference: .*old\.parquet: cannot be read"):
        session.validate()
    assert session.created() == []


def test_a_plan_says_which_names_cannot_be_known_yet(root: Path) -> None:
    evaluate = {"command": "python job.py nothing", "code": "code"}
    deploy = {"endpoint": "small", "predictor": "serve/predictor.py"}
    session = configured(
        root, train={"command": "python job.py model 2", "code": "code"}, evaluate=evaluate, deploy=deploy
    )
    for step in ("evaluate", "deploy"):
        assert f"{step}: its name will be another one, which follows from <train.model>" in session.plan(step).notes
    assert list(session.plan("train").notes) == []
    session.train().wait()
    assert list(session.plan("evaluate").notes) == []
    session.down()


def test_a_training_that_leaves_no_model_is_not_the_providers_fault(root: Path) -> None:
    session = configured(root, train=train(), evaluate={"command": "true", "code": "code"})
    session.train().wait()
    with pytest.raises(CloudopsError, match="has no model: it wrote no file to it") as caught:
        session.evaluate()
    assert caught.value.exit_code == 1
    session.down()
