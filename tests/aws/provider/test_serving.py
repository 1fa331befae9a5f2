"""A deployment's request becomes a model, an endpoint configuration and an update."""

from __future__ import annotations

from pathlib import Path

import botocore.session
import pytest
from botocore.validate import validate_parameters
from cloudops_sagemaker import serving
from cloudops_sagemaker.alarms import threshold
from cloudops_sagemaker.client import Client
from cloudops_sagemaker.deployer import SageMakerDeployer
from cloudops_sagemaker.endpoint_status import endpoint_status, wanted
from cloudops_sagemaker.options import SageMakerDeployOptions, Serverless
from cloudops_sagemaker.serving import ConfigName

from cloudops.errors import CloudopsError, Conflict, InvalidRequest, UnsupportedFeature
from cloudops.refs import Phase

from .requests import deployment, where

CANARY = {"canary": "10%", "bake": "5m"}


def checked(operation: str, body: dict) -> dict:
    model = botocore.session.get_session().get_service_model("sagemaker")
    validate_parameters(body, model.operation_model(operation).input_shape)
    return body


def prepared(request, **settings):
    served = serving.prepare(request, where(**settings))
    checked("CreateModel", served.model)
    name = ConfigName.of(request, "", served.model["ModelName"])
    return served, checked("CreateEndpointConfig", serving.config_request(request, served, where(**settings), name, ""))


def test_a_version_is_a_model_and_a_configuration() -> None:
    served, config = prepared(deployment(envs={"A": "b"}, min_replicas=2, capture={"sample": "50%"}))
    assert served.model["PrimaryContainer"]["Environment"]["A"] == "b"
    assert served.model["PrimaryContainer"]["Environment"]["CLOUDOPS_PREDICTOR"] == "predictor.py"
    (variant,) = config["ProductionVariants"]
    assert (variant["VariantName"], variant["InitialInstanceCount"]) == ("main", 2)
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 300
    assert config["DataCaptureConfig"]["InitialSamplingPercentage"] == 50
    assert (
        config["DataCaptureConfig"]["DestinationS3Uri"] == "s3://models/cloudops/small/endpoints/small/capture/01234567"
    )


def test_names_tell_what_they_serve_and_follow_from_it() -> None:
    request = deployment(max_replicas=3)
    name = ConfigName.of(request, "before", "model")
    assert (name.endpoint, name.version, name.scaled) == ("small", "01234567", True)
    assert ConfigName.of(request, "before", "model") == name
    assert ConfigName.of(request, "another", "model") != name
    assert ConfigName.parse("somebody-elses-configuration").endpoint == ""
    split = ConfigName.split("small", {"01234567": 50, "89abcdef": 50}, "before", scaled=False)
    assert (split.endpoint, split.version) == ("small", "")
    long = ConfigName.of(deployment(endpoint="e" * 32, max_replicas=3), "", "m")
    assert len(long.text) <= 63


def test_a_canary_is_undone_by_an_alarm() -> None:
    plan = serving.deployment_config(deployment(traffic=CANARY), "alarm")
    checked("UpdateEndpoint", {"EndpointName": "small", "EndpointConfigName": "x", "DeploymentConfig": plan})
    routing = plan["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["CanarySize"] == {"Type": "CAPACITY_PERCENT", "Value": 10}
    assert routing["WaitIntervalInSeconds"] == 300
    assert plan["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "alarm"}]}
    assert serving.deployment_config(deployment(), "alarm").keys() == {"BlueGreenUpdatePolicy"}


def test_a_small_canary_has_a_low_threshold() -> None:
    assert threshold(0.5, None) == 0.05
    assert threshold(0.04, None) == 0.02
    assert threshold(0.5, 0.2) == 0.2


def test_serverless_has_no_machine() -> None:
    options = SageMakerDeployOptions(serverless=Serverless(memory=4096, max_concurrency=3))
    served, config = prepared(deployment(options=options), volume_kms_key="alias/k")
    assert "deploy: volume_kms_key is left out: a serverless endpoint has no volume of its own" in served.notes
    assert config["ProductionVariants"][0]["ServerlessConfig"] == {"MemorySizeInMB": 4096, "MaxConcurrency": 3}
    assert "InstanceType" not in config["ProductionVariants"][0]
    assert "KmsKeyId" not in config
    assert "serverless" in served.cost


SERVERLESS = SageMakerDeployOptions(serverless=Serverless())


@pytest.mark.parametrize(
    ("request_", "kind", "place"),
    [
        (deployment(traffic={"canary": "60%", "bake": "1m"}), InvalidRequest, "deploy.traffic.canary"),
        (deployment(traffic={"canary": "10%", "bake": "2h"}), InvalidRequest, "deploy.traffic.bake"),
        (deployment(readiness_timeout="2h"), InvalidRequest, "deploy.readiness_timeout"),
        (deployment(capture={"sample": "0.1%"}), InvalidRequest, "deploy.capture.sample"),
        (deployment(envs={"A": "x" * 2000}), InvalidRequest, "deploy.envs.A"),
        (deployment(envs={f"A{n}": "x" for n in range(99)}), InvalidRequest, "deploy.envs"),
        (deployment(options=SERVERLESS, capture={"sample": "100%"}), UnsupportedFeature, "deploy.capture"),
        (deployment(options=SERVERLESS, max_replicas=2), UnsupportedFeature, "deploy.max_replicas"),
        (deployment(options=SERVERLESS, traffic=CANARY), UnsupportedFeature, "deploy.traffic.canary"),
        (deployment(options=SERVERLESS, resources={"cpus": 2}), UnsupportedFeature, "deploy.resources.cpus"),
    ],
)
def test_what_has_no_place_in_sagemaker_is_refused(request_, kind: type[CloudopsError], place: str) -> None:
    with pytest.raises(kind) as caught:
        serving.prepare(request_, where())
    assert str(caught.value).startswith(f"{place}: ")


def test_a_serverless_endpoint_in_a_vpc_is_refused() -> None:
    with pytest.raises(UnsupportedFeature, match=r"overrides\.sagemaker\.deploy\.serverless: .*VPC"):
        serving.prepare(deployment(options=SERVERLESS), where(subnets=["subnet-1"], security_group_ids=["sg-1"]))


def test_what_still_serves_in_part_is_not_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deployer = SageMakerDeployer(Client(None, "123456789012/eu-west-1", tmp_path))
    monkeypatch.setattr(deployer, "_own", lambda request, described: None)
    with pytest.raises(Conflict, match="serves old and new versions"):
        deployer._before(deployment(), described(EndpointStatus="UpdateRollbackFailed"))
    assert deployer._before(deployment(), described(EndpointStatus="Failed")) == ""


def described(**members) -> dict:
    variants = [{"VariantName": "main", "CurrentWeight": 1.0}]
    return {
        "EndpointName": "small",
        "EndpointConfigName": "small-01234567-abcdef",
        "EndpointStatus": "InService",
        "ProductionVariants": variants,
        **members,
    }


def test_an_endpoint_in_service_is_ready() -> None:
    status = endpoint_status(described(), "eu-west-1")
    assert (status.phase, status.traffic) == (Phase.READY, {"01234567": 100.0})
    assert status.url == "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/small/invocations"


def test_a_split_tells_shares_by_version() -> None:
    variants = [
        {"VariantName": "v-aaaaaaaa", "CurrentWeight": 25.0},
        {"VariantName": "v-bbbbbbbb", "CurrentWeight": 75.0},
        {"VariantName": "v-cccccccc", "CurrentWeight": 0.0},
    ]
    found = described(EndpointConfigName="small-split-01234567", ProductionVariants=variants)
    assert endpoint_status(found, "r").traffic == {"aaaaaaaa": 25.0, "bbbbbbbb": 75.0}


def test_a_canary_tells_its_share_while_it_is_watched() -> None:
    pending = {
        "EndpointConfigName": "small-89abcdef-abcdef",
        "ProductionVariants": [
            {"VariantName": "main", "CurrentWeight": 1.0, "VariantStatus": [{"Status": "Baking"}]},
        ],
    }
    plan = serving.deployment_config(deployment(traffic=CANARY), "alarm")
    found = described(EndpointStatus="Updating", PendingDeploymentSummary=pending, LastDeploymentConfig=plan)
    status = endpoint_status(found, "r")
    assert (status.phase, status.traffic) == (Phase.UPDATING, {"01234567": 90.0, "89abcdef": 10.0})
    assert wanted(found).version == "89abcdef"
    pending["ProductionVariants"][0]["VariantStatus"] = [{"Status": "Creating"}]
    assert endpoint_status(found, "r").traffic == {"01234567": 100.0}


@pytest.mark.parametrize("state", ["Haunted", ""])
def test_a_state_that_nobody_knows_is_no_success(state: str) -> None:
    status = endpoint_status(described(EndpointStatus=state), "r")
    assert status.phase is Phase.UNKNOWN
    assert not status.phase.final


@pytest.mark.parametrize("shares", [{"a": 50}, {"a": -1, "b": 101}, {}, {"a": float("nan")}])
def test_shares_must_add_up(shares: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match="100"):
        serving.check_shares(shares)
