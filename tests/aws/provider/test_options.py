"""Options of a deployment that no portable field stands for, against the offline cloud."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

import cloudops
from cloudops.errors import AuthError, ConfigError, Conflict, InvalidRequest, JobFailed, ProviderError, QuotaExceeded
from cloudops.offline import OfflineCloud
from cloudops.session import Session
from cloudops.testing.projects import configure, deployment, job, write_project

pytestmark = pytest.mark.usefixtures("cloudops_offline_session")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


@pytest.fixture
def opened() -> Iterator[list[Session]]:
    sessions: list[Session] = []
    yield sessions
    for session in sessions:
        session.down()
        assert session.created() == []


def session_with(opened: list[Session], root: Path, name: str, **options: Any) -> Session:
    configure(root, name=name, overrides={"sagemaker": options})
    opened.append(cloudops.connect(provider="sagemaker", root=root))
    return opened[-1]


def test_an_asynchronous_endpoint_answers_through_its_queue(root: Path, opened: list[Session]) -> None:
    session = session_with(opened, root, "queued", deploy={"asynchronous": {"max_concurrency": 2}})
    endpoint = session.deploy(deployment("queued"))
    endpoint.wait(60)
    assert endpoint.predict([[1, 2], [0.5, 0]]) == [6, 1]
    assert len(endpoint.predict([[1, 2]] * 1_000_000)) == 1_000_000  # more than an endpoint takes without a queue
    with pytest.raises(InvalidRequest, match="a row needs the columns x and y"):
        endpoint.predict([{"x": 1}])
    with pytest.raises(ProviderError, match="asked to fail"):
        endpoint.predict([{"ask": "fail"}])


def test_an_asynchronous_endpoint_scales_by_what_waits(root: Path, opened: list[Session]) -> None:
    session = session_with(opened, root, "waiting", deploy={"asynchronous": {"target_backlog": 2}})
    endpoint = session.deploy(deployment("waiting", max_replicas=2))
    endpoint.wait(60)
    assert endpoint.predict([[1, 2]]) == [6]
    client = boto3.client("application-autoscaling", region_name="us-east-1")
    policies = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    tracked = next(one for one in policies if "/waiting/" in one["ResourceId"])[
        "TargetTrackingScalingPolicyConfiguration"
    ]
    assert tracked["TargetValue"] == 2
    metric = tracked["CustomizedMetricSpecification"]
    assert (metric["MetricName"], metric["Dimensions"]) == (
        "ApproximateBacklogSizePerInstance",
        [{"Name": "EndpointName", "Value": "waiting"}],
    )
    deadline = time.monotonic() + 30
    while not _told(metric):  # it is what the endpoint tells
        assert time.monotonic() < deadline
        time.sleep(0.2)
    endpoint.status()
    assert len(client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]) == len(policies)
    endpoint.delete()


def _told(metric: dict[str, Any]) -> bool:
    now = time.time()
    found = boto3.client("cloudwatch", region_name="us-east-1").get_metric_statistics(
        Namespace=metric["Namespace"],
        MetricName=metric["MetricName"],
        Dimensions=metric["Dimensions"],
        Statistics=[metric["Statistic"]],
        StartTime=now - 600,
        EndTime=now + 60,
        Period=60,
    )
    return bool(found["Datapoints"])


def test_a_serverless_endpoint_answers(root: Path, opened: list[Session]) -> None:
    session = session_with(opened, root, "serverless", deploy={"serverless": {"memory": 1024}})
    endpoint = session.deploy(deployment("serverless"))
    endpoint.wait(60)
    assert endpoint.predict([[1, 2]]) == [6]
    assert list(endpoint.status().traffic.values()) == [100.0]


def test_inputs_may_be_streamed_and_are_patterns_in_s3(root: Path, opened: list[Session]) -> None:
    import boto3

    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="tables")
    for name in ("a.csv", "b.csv", "c.txt"):
        s3.put_object(Bucket="tables", Key=f"in/{name}", Body=name.encode())
    session = session_with(opened, root, "streamed", train={"input_mode": "FastFile"})
    inputs = {"some": "s3://tables/in/*.csv", "one": "s3://tables/in/c.txt", "all": "s3://tables/in/"}
    spec = job("files", *[f"${{{{inputs.{name}}}}}" for name in inputs], inputs=inputs)
    done = session.train(spec)
    done.wait(60)
    from cloudops.testing.projects import said

    some, one, everything = said(done)[0]["files"]
    assert some == {"a.csv": "a.csv", "b.csv": "b.csv"}
    assert list(one.values()) == ["c.txt"]
    assert set(everything) == {"a.csv", "b.csv", "c.txt"}


def test_a_missing_role_is_asked_for(root: Path) -> None:
    session = cloudops.connect(provider="sagemaker", root=root, project="roleless", role="nobody")
    with pytest.raises(ConfigError, match="nobody") as caught:
        session.train(job("nothing"))
    assert "sagemaker.amazonaws.com" in (caught.value.hint or "")
    checked = {result.name: result for result in session.check()}
    assert not checked["role"].ok
    assert checked["bucket"].ok


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"region": "nowhere"}, "region"),
        ({"subnets": ["subnet-1"]}, "security_group_ids"),
        ({"tags": {"aws:x": "y"}}, "tag"),
        ({"prefix": "/x"}, "prefix"),
    ],
)
def test_settings_that_make_no_sense_are_refused(root: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        cloudops.connect(provider="sagemaker", root=root, project="wrong", **settings)


def test_a_large_model_is_copied_by_s3(root: Path, opened: list[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    """As a small one is, but without its bytes coming here."""
    from cloudops_sagemaker import artifacts

    session = session_with(opened, root, "large")
    trained = session.train(job("model", "4"))
    trained.wait(60)
    monkeypatch.setattr(artifacts, "_SMALL", 0)
    endpoint = session.deploy(deployment("large", None), model=trained.model().uri)
    endpoint.wait(60)
    assert endpoint.predict([[1, 2]]) == [12.0]


def test_a_model_beside_outputs_is_a_folder_and_served(root: Path, opened: list[Session]) -> None:
    session = session_with(opened, root, "folders")
    trained = session.train(job("model", "5", outputs=["extra"]))
    trained.wait(60)
    assert trained.model().info().location.endswith("/output/model/")
    endpoint = session.deploy(deployment("folders", None), model=trained.model().uri)
    endpoint.wait(60)
    assert endpoint.predict([[1, 2]]) == [15.0]


def test_a_split_can_be_gone_back_to(root: Path, opened: list[Session]) -> None:
    """A deployment deletes what the endpoint cannot go back to, and nothing that still serves."""
    import boto3

    session = session_with(opened, root, "splits")
    versions = []
    for model in ("two", "three"):
        endpoint = session.deploy(deployment("splits", model))
        endpoint.wait(60)
        versions += endpoint.status().traffic
    endpoint.traffic(dict.fromkeys(versions, 50.0))
    endpoint.wait(60)
    session.deploy(deployment("splits", "five")).wait(60)
    endpoint.rollback()
    endpoint.wait(60)
    assert endpoint.status().traffic == dict.fromkeys(versions, 50.0)
    assert [endpoint.predict([[1, 0]], version=version) for version in versions] == [[2], [3]]
    session.deploy(deployment("splits", "two")).wait(60)
    session.deploy(deployment("splits", "three")).wait(60)
    sagemaker = boto3.client("sagemaker")
    assert len(sagemaker.list_models(NameContains="splits-")["Models"]) == 2
    assert len(sagemaker.list_endpoint_configs(NameContains="splits-")["EndpointConfigs"]) == 2


def test_an_endpoint_with_machines_does_not_become_serverless(root: Path, opened: list[Session]) -> None:
    session = session_with(opened, root, "machines")
    session.deploy(deployment("machines")).wait(60)
    serverless = session_with(opened, root, "machines", deploy={"serverless": {"memory": 1024}})
    with pytest.raises(Conflict, match="delete it first"):
        serverless.deploy(deployment("machines", "three"))


def test_an_input_without_files_is_refused_by_its_key(root: Path, opened: list[Session]) -> None:
    (root / "empty").mkdir()
    session = session_with(opened, root, "no-files")
    with pytest.raises(InvalidRequest, match=r"train\.inputs\.table: .*empty has no file"):
        session.train(job("nothing", inputs={"table": "empty"}))


@pytest.mark.parametrize(
    ("settings", "name", "text"),
    [
        ({"region": "eu-west-9"}, "region", "knows no region 'eu-west-9' with SageMaker"),
        ({"role": "arn:aws:iam::999999999999:role/cloudops-sagemaker"}, "role", "is of another account"),
        ({"region": "eu-west-1", "bucket": "in-virginia"}, "bucket", "is in us-east-1, and SageMaker in eu-west-1"),
    ],
)
def test_check_finds_what_a_run_would_fail_of(root: Path, settings: dict[str, Any], name: str, text: str) -> None:
    import boto3

    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="in-virginia")
    session = cloudops.connect(provider="sagemaker", project="checked", root=root, **settings)
    (failed,) = [result for result in session.check() if not result.ok]
    assert failed.name == name
    assert text in failed.detail
    assert failed.hint


def test_a_bucket_that_cannot_be_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match="bucket"):
        cloudops.connect(provider="sagemaker", project="checked", root=root, bucket="NOT_valid")


def test_nothing_is_left_but_code_and_data(root: Path, opened: list[Session]) -> None:
    import boto3

    environ = {"CONTRACT_SECRET": "swordfish"}
    configure(root, name="leftovers")
    session = cloudops.connect(provider="sagemaker", root=root, environ=environ)
    trained = session.train(job("model", "2", secrets=["CONTRACT_SECRET"], inputs={"table": "data/part-1.csv"}))
    trained.wait(60)
    spec = deployment("leftovers", None, secrets=["CONTRACT_SECRET"], capture={"sample": "100%"}, max_replicas=2)
    endpoint = session.deploy(spec, model=trained.model().uri)
    endpoint.wait(60)
    canary = {"canary": "50%", "bake": "1s"}
    session.deploy(deployment("leftovers", "three", max_replicas=2, traffic=canary)).wait(60)
    session.down()
    s3 = boto3.client("s3")
    bucket = f"sagemaker-us-east-1-{boto3.client('sts').get_caller_identity()['Account']}"
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="cloudops/leftovers/")["Contents"]]
    assert {key.split("/")[2] for key in keys} == {"code", "data"}
    assert (
        boto3.client("secretsmanager").list_secrets(Filters=[{"Key": "name", "Values": ["cloudops/"]}])["SecretList"]
        == []
    )
    alarms = boto3.client("cloudwatch").describe_alarms(AlarmNamePrefix="cloudops-leftovers")
    assert alarms["MetricAlarms"] == []
    scaling = boto3.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    assert [item for item in scaling["ScalableTargets"] if "leftovers" in item["ResourceId"]] == []
    groups = boto3.client("logs").describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Endpoints/leftovers")
    assert groups["logGroups"] == []


def test_a_job_for_which_there_is_no_machine_fails_for_that_reason(
    root: Path, opened: list[Session], cloudops_offline_session: OfflineCloud
) -> None:
    opened.append(session := cloudops.connect(provider="sagemaker", root=root, project="capacity"))
    cloudops_offline_session.fault("no_capacity", on="sagemaker:training-job", resource="capacity-*", seconds=1)
    with pytest.raises(JobFailed, match="Unable to provision"):
        session.train(job("nothing")).wait(60)


def test_a_lost_answer_does_not_double_the_job(
    root: Path, opened: list[Session], cloudops_offline_session: OfflineCloud
) -> None:
    """The SDK itself repeats the call, and is told that the job is there already."""
    opened.append(session := cloudops.connect(provider="sagemaker", root=root, project="lost"))
    cloudops_offline_session.fault("dropped_after", on="sagemaker:CreateTrainingJob", resource="lost-*")
    session.train(job("nothing")).wait(60)
    assert len(list(session.jobs())) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("expired_credentials", AuthError), ("missing_credentials", AuthError), ("quota", QuotaExceeded)],
)
def test_a_refused_job_is_told_by_type(
    root: Path, opened: list[Session], cloudops_offline_session: OfflineCloud, fault: str, kind: type[ProviderError]
) -> None:
    opened.append(session := cloudops.connect(provider="sagemaker", root=root, project="refused"))
    cloudops_offline_session.fault(fault, on="sagemaker:CreateTrainingJob", resource="refused-*")
    with pytest.raises(kind) as caught:
        session.train(job("nothing"))
    assert caught.value.hint
    assert list(session.jobs()) == []
