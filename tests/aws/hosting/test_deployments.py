from __future__ import annotations

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import botocore.exceptions
import pytest

from cloudops.offline.faults import FaultKind, Rule

from .rig import Cloud, Load, until


def blue_green(kind: str, size: int = 0, wait: int = 300, linger: int = 0, longest: int = 3600) -> dict[str, Any]:
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": wait}
    member = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(kind)
    if member:
        routing[member] = {"Type": "CAPACITY_PERCENT", "Value": size}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": linger,
            "MaximumExecutionTimeoutInSeconds": longest,
        }
    }


def alarm_on_errors(cloud: Cloud, name: str = "errors", variant: str = "v0") -> dict[str, Any]:
    dimensions = [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": variant}]

    def metric(id: str, name: str) -> dict[str, Any]:
        found = {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": dimensions}
        return {"Id": id, "ReturnData": False, "MetricStat": {"Metric": found, "Period": 60, "Stat": "Sum"}}

    cloud.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Metrics=[
            metric("m1", "Invocation5XXErrors"),
            metric("m2", "Invocations"),
            {"Id": "rate", "Expression": "IF(m2 > 0, 100*(m1/m2), 0)", "ReturnData": True},
        ],
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name}]}}


def baking(cloud: Cloud) -> dict[str, Any]:
    """The description once the new fleet bakes."""

    def look() -> dict[str, Any] | None:
        found = cloud.sm.describe_endpoint(EndpointName="e")
        variants = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
        states = [one["VariantStatus"][0]["Status"] for one in variants if "VariantStatus" in one]
        return found if states and set(states) == {"Baking"} else None

    return until(look, 60, lambda: cloud.sm.describe_endpoint(EndpointName="e"))


@pytest.fixture
def two(cloud: Cloud) -> Cloud:
    """An endpoint that serves a, and configurations for b and for one that fails."""
    cloud.config("ca", cloud.model("a"))
    cloud.config("cb", cloud.model("b"))
    cloud.config("failing", cloud.model("f", FAILING="1"))
    cloud.config("broken", cloud.model("broken", BROKEN="1"))
    cloud.endpoint("e", "ca")
    return cloud


def test_an_update_under_load_fails_no_request(two: Cloud) -> None:
    pid = two.ask()["pid"]
    with Load(two, data={"x": 1, "sleep": 0.01}) as load:
        until(lambda: len(load.answers) > 20)
        two.sm.update_endpoint(EndpointName="e", EndpointConfigName="cb")
        found = two.sm.describe_endpoint(EndpointName="e")
        assert found["EndpointStatus"] == "Updating"
        assert found["PendingDeploymentSummary"]["EndpointConfigName"] == "cb"
        with pytest.raises(botocore.exceptions.ClientError, match="Cannot update in-progress endpoint"):
            two.sm.update_endpoint(EndpointName="e", EndpointConfigName="ca")
        with pytest.raises(botocore.exceptions.ClientError, match="Cannot update in-progress endpoint"):
            two.sm.delete_endpoint(EndpointName="e")
        found = two.wait("e")
        seen = len(load.answers)
        until(lambda: len(load.answers) > seen + 20)
    assert not load.errors
    names = Counter(answer["name"] for answer in load.answers)
    assert names["a"] > 0 < names["b"]
    assert load.answers[-1]["name"] == "b"
    assert found["EndpointConfigName"] == "cb"
    assert "PendingDeploymentSummary" not in found
    until(lambda: not _runs(pid))


def test_open_requests_are_answered_before_an_instance_ends(two: Cloud) -> None:
    """By the old fleet: none is broken off and sent again to the new one."""
    pid = two.ask()["pid"]
    with ThreadPoolExecutor(1) as pool:
        open_one = pool.submit(two.ask, "e", {"sleep": 4})
        two.sm.update_endpoint(EndpointName="e", EndpointConfigName="cb")
        until(lambda: two.ask()["name"] == "b")
        assert not open_one.done()
        assert two.sm.describe_endpoint(EndpointName="e")["EndpointStatus"] == "Updating"
        assert open_one.result()["pid"] == pid
    two.wait("e")


def test_a_rollback_that_fails_is_told(cloud: Cloud) -> None:
    """A rolling update that has ended old instances, and no capacity to bring them back healthy."""
    cloud.config("ca", cloud.model("a"), count=2)
    cloud.config("failing", cloud.model("f", FAILING="1"), count=2)
    cloud.endpoint("e", "ca")
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 300}}
    cloud.sm.update_endpoint(
        EndpointName="e", EndpointConfigName="failing", DeploymentConfig=rolling | alarm_on_errors(cloud)
    )
    baking(cloud)
    cloud.advance(300)  # the first batch is through: one old instance is left
    hosted = cloud.emulator._site.region("us-east-1").find("endpoint", "e").live
    until(lambda: len(hosted.blue.members["v0"].fleet.replicas()) == 1)
    baking(cloud)
    fleet = hosted.blue.members["v0"].fleet
    fleet.blueprint = replace(fleet.blueprint, health=replace(fleet.blueprint.health, unhealthy=True))
    for _ in range(20):
        with contextlib.suppress(cloud.runtime.exceptions.ModelError):
            cloud.ask()
    cloud.advance(30)
    until(lambda: cloud.sm.describe_endpoint(EndpointName="e")["EndpointStatus"] == "RollingBack")
    cloud.advance(1000)
    found = cloud.wait("e", "UpdateRollbackFailed")
    assert "The rollback failed, too" in found["FailureReason"]


def test_a_canary_takes_its_share_and_then_all(two: Cloud) -> None:
    policy = blue_green("CANARY", 20, wait=300, linger=120)
    two.sm.update_endpoint(EndpointName="e", EndpointConfigName="cb", DeploymentConfig=policy)
    found = baking(two)
    assert found["LastDeploymentConfig"] == policy
    seen = Counter(two.ask()["name"] for _ in range(300))
    # Five standard deviations of a binomial with p = 0.2.
    assert abs(seen["b"] - 60) < 35, seen
    two.advance(300)
    until(lambda: {two.ask()["name"] for _ in range(20)} == {"b"})
    assert two.sm.describe_endpoint(EndpointName="e")["EndpointStatus"] == "Updating"
    two.advance(300)
    two.advance(120)
    assert two.wait("e")["EndpointConfigName"] == "cb"


def test_an_alarm_rolls_a_canary_back(two: Cloud) -> None:
    policy = blue_green("CANARY", 50, wait=600) | alarm_on_errors(two)
    for _ in range(5):
        two.ask()
    two.sm.update_endpoint(EndpointName="e", EndpointConfigName="failing", DeploymentConfig=policy)
    baking(two)
    failed = 0
    for _ in range(20):
        try:
            two.ask()
        except two.runtime.exceptions.ModelError:
            failed += 1
    assert failed
    two.advance(30)
    found = two.wait("e")
    assert found["EndpointConfigName"] == "ca"
    assert "errors went into ALARM state" in found["FailureReason"].replace("(s)", "")
    assert {two.ask()["name"] for _ in range(20)} == {"a"}
    two.advance(300)
    state = two.cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"][0]
    assert state["StateValue"] == "OK"


def test_an_alarm_that_was_passed_over_counts(two: Cloud) -> None:
    """The clock is moved past the end of the bake: the alarm has been in ALARM on the way."""
    policy = blue_green("CANARY", 50, wait=600) | alarm_on_errors(two)
    two.sm.update_endpoint(EndpointName="e", EndpointConfigName="failing", DeploymentConfig=policy)
    baking(two)
    failed = 0
    for _ in range(20):
        try:
            two.ask()
        except two.runtime.exceptions.ModelError:
            failed += 1
    assert failed
    two.advance(3000)
    found = two.wait("e")
    assert found["EndpointConfigName"] == "ca"


def test_a_linear_update_moves_step_by_step(two: Cloud) -> None:
    policy = blue_green("LINEAR", 50, wait=100)
    two.sm.update_endpoint(EndpointName="e", EndpointConfigName="cb", DeploymentConfig=policy)
    baking(two)
    assert len({two.ask()["name"] for _ in range(40)}) == 2
    two.advance(100)
    until(lambda: {two.ask()["name"] for _ in range(20)} == {"b"})
    two.advance(100)
    assert two.wait("e")["EndpointConfigName"] == "cb"


def test_a_rolling_update_goes_batch_by_batch(cloud: Cloud) -> None:
    cloud.config("ca", cloud.model("a"), count=2)
    cloud.config("cb", cloud.model("b"), count=2)
    cloud.endpoint("e", "ca")
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    policy = {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 100}}
    with Load(cloud) as load:
        cloud.sm.update_endpoint(EndpointName="e", EndpointConfigName="cb", DeploymentConfig=policy)
        baking(cloud)
        assert len({cloud.ask()["name"] for _ in range(40)}) == 2
        cloud.advance(100)
        until(lambda: {cloud.ask()["name"] for _ in range(20)} == {"b"})
        until(lambda: baking(cloud))
        cloud.advance(100)
        found = cloud.wait("e")
    assert not load.errors
    assert found["EndpointConfigName"] == "cb"
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_a_fleet_that_does_not_come_up_is_rolled_back(two: Cloud) -> None:
    with Load(two) as load:
        two.sm.update_endpoint(EndpointName="e", EndpointConfigName="broken")
        found = two.wait("e")
    assert not load.errors
    assert "did not pass the ping health check" in found["FailureReason"]
    assert found["EndpointConfigName"] == "ca"
    logs = two.client("logs")
    events = logs.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/e")["events"]
    assert any("no such model" in one["message"] for one in events)


def test_an_update_that_takes_too_long_is_rolled_back(two: Cloud) -> None:
    policy = blue_green("CANARY", 50, wait=500, linger=0, longest=600)
    two.sm.update_endpoint(EndpointName="e", EndpointConfigName="cb", DeploymentConfig=policy)
    baking(two)
    two.advance(1200)
    found = two.wait("e")
    assert "MaximumExecutionTimeoutInSeconds" in found["FailureReason"]
    assert found["EndpointConfigName"] == "ca"


def test_properties_are_retained(two: Cloud) -> None:
    wanted = [{"VariantName": "v0", "DesiredInstanceCount": 2, "DesiredWeight": 0.5}]
    two.sm.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=wanted)
    assert two.wait("e")["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    two.sm.update_endpoint(
        EndpointName="e",
        EndpointConfigName="cb",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    variant = two.wait("e")["ProductionVariants"][0]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (2, 1.0)


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (blue_green("CANARY", 60), "between 1 and 50"),
        (blue_green("LINEAR", 5), "between 10 and 50"),
        (blue_green("CANARY", 10, wait=700, longest=600), "MaximumExecutionTimeoutInSeconds must be greater"),
        (blue_green("ALL_AT_ONCE") | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "x"}]}}, "do not exist"),
    ],
)
def test_guardrails(two: Cloud, policy: dict[str, Any], text: str) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match=text):
        two.sm.update_endpoint(EndpointName="e", EndpointConfigName="cb", DeploymentConfig=policy)
    assert two.ask()["name"] == "a"


def test_variants_keep_their_names_under_guardrails(two: Cloud) -> None:
    two.config("two", "a", "b")
    with pytest.raises(botocore.exceptions.ClientError, match=r"variant names .* must be the same"):
        two.sm.update_endpoint(EndpointName="e", EndpointConfigName="two", DeploymentConfig=blue_green("CANARY", 10))


def test_faults_of_fleets(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"))
    cloud.faults.add(Rule(FaultKind.NO_CAPACITY, "sagemaker:endpoint", "none"))
    cloud.faults.add(Rule(FaultKind.UNHEALTHY, "sagemaker:endpoint", "ill"))
    cloud.faults.add(Rule(FaultKind.SLOW_START, "sagemaker:endpoint", "slow", seconds=120))
    for name in ("none", "ill", "slow"):
        cloud.sm.create_endpoint(EndpointName=name, EndpointConfigName="c")
    assert "InsufficientInstanceCapacity" in cloud.wait("none", "Failed")["FailureReason"]
    until(lambda: _running(cloud, "slow"))
    assert cloud.sm.describe_endpoint(EndpointName="slow")["EndpointStatus"] == "Creating"
    cloud.advance(130)
    cloud.wait("slow")
    cloud.advance(600)
    assert "ping health check" in cloud.wait("ill", "Failed")["FailureReason"]


def _running(cloud: Cloud, name: str) -> bool:
    logs = cloud.client("logs")
    try:
        return bool(logs.filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{name}")["events"])
    except logs.exceptions.ResourceNotFoundException:
        return False


def _runs(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)
