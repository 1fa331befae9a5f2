"""Replicas that are added and removed by themselves, through every change of an endpoint, against the offline cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from cloudops.errors import AuthError
from cloudops.handles import Endpoint
from cloudops.offline import OfflineCloud
from cloudops.refs import Phase
from cloudops.session import Session
from cloudops.testing import Rig
from cloudops.testing.projects import deployment

SPACE = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


class SageMakerRig(Rig):
    name = "sagemaker"


@pytest.fixture
def cloud(cloudops_offline_session: OfflineCloud) -> OfflineCloud:
    cloudops_offline_session.clear_faults()
    return cloudops_offline_session


@pytest.fixture
def rig(cloud: OfflineCloud, tmp_path: Path) -> Any:
    with SageMakerRig(tmp_path) as rig:
        yield rig


def targets(name: str) -> dict[str, tuple[int, int]]:
    """Bounds by variant, of those that have a policy, too."""
    client = boto3.client("application-autoscaling", region_name="us-east-1")
    policies = {one["ResourceId"] for one in client.describe_scaling_policies(**SPACE)["ScalingPolicies"]}
    found = [
        one for one in client.describe_scalable_targets(**SPACE)["ScalableTargets"] if f"/{name}/" in one["ResourceId"]
    ]
    assert {one["ResourceId"] for one in found} <= policies
    return {one["ResourceId"].rpartition("/")[2]: (one["MinCapacity"], one["MaxCapacity"]) for one in found}


def scaled(session: Session, model: str, low: int = 1, high: int = 3, **options: Any) -> Any:
    return deployment(session.project, model, min_replicas=low, max_replicas=high, **options)


def count(endpoint: Endpoint) -> int:
    return sum(version["replicas"] for version in endpoint.status().details["versions"].values())


def grow(rig: Rig, endpoint: Endpoint, number: int) -> None:
    boto3.client("sagemaker", region_name="us-east-1").update_endpoint_weights_and_capacities(
        EndpointName=endpoint.ref.id,
        DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": number}],
    )
    endpoint.wait(rig.timeout, poll=rig.poll)


def test_versions_of_a_split_scale_each_and_one_alone_scales_again(rig: SageMakerRig) -> None:
    session = rig.session()
    endpoint = rig.deploy(session, scaled(session, "two"))
    (first,) = endpoint.status().traffic
    rig.deploy(session, scaled(session, "three", 1, 4))
    (second,) = endpoint.status().traffic
    endpoint.traffic({first: 50, second: 50})
    endpoint.wait(rig.timeout, poll=rig.poll)
    assert targets(session.project) == {f"v-{first}": (1, 3), f"v-{second}": (1, 4)}
    rig.deploy(session, scaled(session, "five"))  # prunes the two configurations
    assert targets(session.project) == {"main": (1, 3)}
    endpoint.rollback()
    endpoint.wait(rig.timeout, poll=rig.poll)
    assert targets(session.project) == {f"v-{first}": (1, 3), f"v-{second}": (1, 4)}
    for shares in ({first: 0, second: 100}, {second: 100}):
        endpoint.traffic(shares)
        endpoint.wait(rig.timeout, poll=rig.poll)
    assert targets(session.project) == {"main": (1, 4)}
    endpoint.delete()
    assert targets(session.project) == {}


def test_a_new_version_begins_with_as_many_replicas_as_there_are(rig: SageMakerRig) -> None:
    session = rig.session()
    endpoint = rig.deploy(session, scaled(session, "two"))
    grow(rig, endpoint, 3)
    rig.deploy(session, scaled(session, "three", 1, 5))
    assert (count(endpoint), targets(session.project)) == (3, {"main": (1, 5)})
    assert endpoint.predict([[1, 2]]) == [9]
    (second,) = endpoint.status().traffic
    first = next(name for name in _configs(session.project) if second not in name).split("-")[-3]
    endpoint.traffic({first: 50, second: 50})
    endpoint.wait(rig.timeout, poll=rig.poll)
    assert count(endpoint) == 4  # half of three, rounded up, each
    rig.deploy(session, deployment(session.project, "five"))
    assert (count(endpoint), targets(session.project)) == (1, {})
    endpoint.delete()


def _configs(endpoint: str) -> list[str]:
    client = boto3.client("sagemaker", region_name="us-east-1")
    return [one["EndpointConfigName"] for one in client.list_endpoint_configs(NameContains=endpoint)["EndpointConfigs"]]


def test_scaling_of_an_endpoint_that_somebody_else_has_deleted_goes_with_the_rest(rig: SageMakerRig) -> None:
    session = rig.session()
    endpoint = rig.deploy(session, scaled(session, "two"))
    boto3.client("sagemaker", region_name="us-east-1").delete_endpoint(EndpointName=endpoint.ref.id)
    assert targets(session.project)
    session.down()
    assert targets(session.project) == {}


def test_one_who_only_looks_needs_no_right_to_register(cloud: OfflineCloud, rig: SageMakerRig) -> None:
    session = rig.session()
    with_denial = cloud.fault("access_denied", on="application-autoscaling:RegisterScalableTarget", times=None)
    endpoint = session.deploy(scaled(session, "two"))
    with pytest.raises(AuthError, match="RegisterScalableTarget"):
        endpoint.wait(rig.timeout, poll=rig.poll)
    looking = rig.session(root=session.root).endpoint(session.project)
    status = looking.status()
    assert status.phase is Phase.READY
    assert "its replicas may not scale: " in status.reason
    cloud.remove_fault(with_denial)
    assert looking.status().reason == ""
    assert targets(session.project) == {"main": (1, 3)}
    endpoint.delete()


def test_metrics_begin_with_the_endpoint_and_not_with_one_that_had_its_name(rig: SageMakerRig) -> None:
    session = rig.session()
    endpoint = rig.deploy(session, deployment(session.project, "two"))
    created = endpoint.status().created
    monitor = session.provider.monitor
    since: list[float] = []
    values = monitor._values
    monitor._values = lambda name, variant, start, end: since.append(start) or values(name, variant, start, end)
    monitor.metrics(endpoint.ref, since=created - 86400, until=created + 60)
    monitor.metrics(endpoint.ref, since=created + 10, until=created + 60)
    assert since == [created, created + 10]
    endpoint.delete()
