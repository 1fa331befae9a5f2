"""A client of SageMaker is killed between two calls, or loses an answer: nothing is doubled, nothing stays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest

from cloudops.errors import AuthError
from cloudops.handles import Endpoint
from cloudops.offline import OfflineCloud
from cloudops.refs import Phase
from cloudops.session import Session
from cloudops.specs import BatchSpec
from cloudops.testing import Rig
from cloudops.testing.projects import deployment, job

_CHANGES = ("Create", "Update", "Put", "Delete", "Register", "Deregister", "Stop")
_CALL = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]
_SECRET = {"CONTRACT_SECRET": "never to be seen"}


class Killed(BaseException):
    """The client is killed: nothing that it would have done afterwards happens."""


class SageMakerRig(Rig):
    name = "sagemaker"


@pytest.fixture(scope="module")
def server() -> Iterator[OfflineCloud]:
    with OfflineCloud() as cloud, cloud.active():
        yield cloud


@pytest.fixture
def cloud(server: OfflineCloud) -> OfflineCloud:
    server.reset()
    server.clear_faults()
    return server


@pytest.fixture
def rig(cloud: OfflineCloud, tmp_path: Path) -> SageMakerRig:
    return SageMakerRig(tmp_path)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], Any]], bool]:
    """Runs something, killed before its so manyeth call that changes anything; whether it was."""

    def run(number: int, work: Callable[[], Any]) -> bool:
        numbers, dead = itertools.count(1), []

        def call(client: Any, operation: str, given: Any) -> Any:
            changes = operation.startswith(_CHANGES) and operation != "PutObject"  # what comes after them sees them all
            if dead or (changes and next(numbers) == number):
                dead.append(operation)
                raise Killed
            return _CALL(client, operation, given)

        with monkeypatch.context() as patched:
            patched.setattr(botocore.client.BaseClient, "_make_api_call", call)
            try:
                work()
            except Killed:
                return True
        return False

    return run


def left() -> list[str]:
    """What exists in the account, but for what is shared by its content, and what cannot be deleted."""

    def client(service: str) -> Any:
        return boto3.client(service, region_name="us-east-1")

    sagemaker, scaling = client("sagemaker"), client("application-autoscaling")
    found = [item["EndpointName"] for item in sagemaker.list_endpoints()["Endpoints"]]
    found += [item["EndpointConfigName"] for item in sagemaker.list_endpoint_configs()["EndpointConfigs"]]
    found += [item["ModelName"] for item in sagemaker.list_models()["Models"]]
    found += [item["TrainingJobName"] for item in sagemaker.list_training_jobs()["TrainingJobSummaries"]]
    found += [item["Name"] for item in client("secretsmanager").list_secrets()["SecretList"]]
    found += [item["AlarmName"] for item in client("cloudwatch").describe_alarms()["MetricAlarms"]]
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    found += [item["ResourceId"] for item in targets]
    for bucket in client("s3").list_buckets()["Buckets"]:
        objects = client("s3").list_objects_v2(Bucket=bucket["Name"]).get("Contents", ())
        found += [item["Key"] for item in objects if "/code/" not in item["Key"] and "/data/" not in item["Key"]]
    return found


def _train(session: Session) -> Any:
    return session.train(job("nothing", secrets=["CONTRACT_SECRET"]))


def _batch(session: Session) -> Any:
    (session.root / "rows.jsonl").write_text("[1, 2]\n", encoding="utf-8")
    spec = {"model": "models/two", "predictor": "serve/predictor.py", "data": "rows.jsonl"}
    return session.batch(BatchSpec(**spec, secrets=["CONTRACT_SECRET"]))


def _deploy(session: Session) -> Any:
    return session.deploy(deployment(session.project, secrets=["CONTRACT_SECRET"]))


@pytest.mark.parametrize("begin", [_train, _batch, _deploy])
def test_what_was_begun_and_never_came_to_be_is_deleted(
    rig: SageMakerRig, killed: Callable[..., bool], begin: Callable[[Session], Any]
) -> None:
    session = rig.session(environ=_SECRET)
    begin(session)
    session.down()  # the bucket stays
    for number in itertools.count(1):
        if not killed(number, lambda: begin(session)):
            break
        rig.session(root=session.root).down()
        assert left() == [], f"killed before change {number}"
        assert session.created() == []
    assert number > 2, "it was never killed"


def test_a_deletion_that_was_cut_off_is_taken_up_again(rig: SageMakerRig, killed: Callable[..., bool]) -> None:
    root = rig.project()
    for number in itertools.count(2, 2):  # each second one, for the time that it takes
        session = rig.session(root=root, environ=_SECRET)
        spec = deployment(session.project, secrets=["CONTRACT_SECRET"], capture={"sample": "100%"}, max_replicas=2)
        rig.deploy(session, spec).predict([[1, 2]])
        cut = killed(number, session.down)
        rig.session(root=root).down()
        assert left() == [], f"killed before change {number}"
        if not cut:
            break
    assert number > 5, "it was hardly ever killed"


def test_clients_that_delete_an_endpoint_at_once_all_succeed(rig: SageMakerRig) -> None:
    session = rig.session()
    name = rig.deploy(session, deployment(session.project)).ref.id
    endpoints = [rig.session(root=session.root).endpoint(name) for _ in range(4)]
    with ThreadPoolExecutor(len(endpoints)) as pool:
        list(pool.map(Endpoint.delete, endpoints))
    assert left() == []


def test_lost_answers_of_an_endpoint_s_changes_are_no_failures(cloud: OfflineCloud, rig: SageMakerRig) -> None:
    session = rig.session()
    versions = []
    for model in ("two", "three"):
        endpoint = rig.deploy(session, deployment(session.project, model))
        versions += endpoint.status().traffic
    for change in (endpoint.rollback, lambda: endpoint.traffic(dict.fromkeys(versions, 50.0))):
        cloud.fault("dropped_after", on="sagemaker:UpdateEndpoint")
        change()
        rig.until(endpoint.status, lambda status: status.phase is Phase.READY, "the update to end")
    assert endpoint.status().traffic == dict.fromkeys(versions, 50.0)
    for call in ("DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"):
        cloud.fault("dropped_after", on=f"sagemaker:{call}")
    endpoint.delete()
    assert left() == []


def test_scaling_that_was_registered_by_half_is_registered(cloud: OfflineCloud, rig: SageMakerRig) -> None:
    session = rig.session()
    endpoint = rig.deploy(session, deployment(session.project))
    cloud.fault("access_denied", on="application-autoscaling:PutScalingPolicy")
    session.deploy(deployment(session.project, max_replicas=3))
    with pytest.raises(AuthError):
        endpoint.wait(rig.timeout)
    assert rig.session(root=session.root).endpoint(session.project).status().phase is Phase.READY
    scaling = boto3.client("application-autoscaling", region_name="us-east-1")
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert [policy["PolicyName"] for policy in policies] == [f"cloudops-{session.project}"]
    endpoint.delete()
    assert left() == []
