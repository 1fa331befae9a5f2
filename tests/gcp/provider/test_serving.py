"""From a deployment's request to a model, a deployed model and an endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudops_vertex import predicting, serving
from cloudops_vertex.errors import Answered, Refused
from cloudops_vertex.options import VertexDeployOptions
from cloudops_vertex.registry import deployment, folder, version_of
from cloudops_vertex.serving import Served

from cloudops.errors import CloudopsError, InvalidRequest, ProviderError, Unavailable, UnsupportedFeature
from cloudops.provider import DeployRequest, ModelInfo
from cloudops.refs import Ref
from cloudops.specs import DeploySpec

from .requests import code, where


def request(*, secrets: Any = None, options: Any = None, **spec: Any) -> DeployRequest:
    return DeployRequest(
        endpoint="flights",
        version="0123abcd",
        project="small",
        spec=DeploySpec(**{"endpoint": "flights", **spec}),
        model=ModelInfo(None, "gs://models/m", {"intent": "b" * 64}),
        code=code(),
        predictor="predictor.py",
        secrets=secrets or {},
        options=options,
    )


def served(asked: DeployRequest, **settings: Any) -> Served:
    return serving.prepare(asked, where(**settings), "runtime.pyz", "program")


def test_a_model_runs_the_program_in_the_image() -> None:
    made = served(request(envs={"A": "1", "B": "$(C)", "D": ""}, readiness_timeout="2m"))
    container = made.model["containerSpec"]
    assert (container["command"], container["args"]) == (["python3", "-c"], ["program"])
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env == {"A": "1", "CLOUDOPS_MODEL_NAME": "flights", "CLOUDOPS_MODEL_VERSION": "0123abcd"}
    assert made.inference["env"] == {"B": "$(C)", "D": ""}
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] == 120
    assert container["deploymentTimeout"] == "1920s"
    assert made.model["artifactUri"] == "gs://models/cloudops/small/endpoints/flights/0123abcd/artifact"
    assert made.model["labels"]["cloudops_project"] == "small"


def test_how_a_model_is_deployed_is_found_in_its_description() -> None:
    made = served(request(min_replicas=2), service_account="serve@my-project.iam.gserviceaccount.com")
    found = deployment({**made.model, "name": "projects/1/locations/x/models/flights-0123abcd"})
    assert found == {**made.deployed, "model": "projects/1/locations/x/models/flights-0123abcd"}
    assert found["serviceAccount"] == "serve@my-project.iam.gserviceaccount.com"
    assert version_of(found, "flights") == "0123abcd"
    assert version_of(found, "other") == ""
    place = folder(made.model)
    assert place is not None
    assert place.key == "cloudops/small/endpoints/flights/0123abcd"


def test_replicas_follow_what_is_asked_for() -> None:
    fixed = served(request(min_replicas=2)).deployed["dedicatedResources"]
    assert (fixed["minReplicaCount"], fixed["maxReplicaCount"]) == (2, 2)
    assert "autoscalingMetricSpecs" not in fixed
    options = VertexDeployOptions(target_cpu=70, target_requests=300)
    scaled = served(request(max_replicas=4, options=options)).deployed["dedicatedResources"]
    assert {
        each["metricName"].rpartition("online/")[2]: each["target"] for each in scaled["autoscalingMetricSpecs"]
    } == {
        "cpu/utilization": 70,
        "request_count": 300,
    }


def test_endpoints_may_be_dedicated_or_private() -> None:
    options = VertexDeployOptions.model_validate({"dedicated_endpoint": True, "inference_timeout": "10m"})
    made = served(request(options=options)).endpoint
    assert made["dedicatedEndpointEnabled"] is True
    assert made["clientConnectionConfig"] == {"inferenceTimeout": "600s"}
    private = served(request(options=VertexDeployOptions(private_to=["other-team"]))).endpoint
    assert private["privateServiceConnectConfig"]["projectAllowlist"] == ["other-team"]


def test_a_key_encrypts_model_and_endpoint() -> None:
    key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    made = served(request(), kms_key=key)
    assert made.model["encryptionSpec"] == made.endpoint["encryptionSpec"] == {"kmsKeyName": key}


@pytest.mark.parametrize(
    ("spec", "kind", "text"),
    [
        ({"min_replicas": 0, "max_replicas": 1}, UnsupportedFeature, "deploy.min_replicas: .*one replica at least"),
        ({"traffic": {"canary": "12.5%", "bake": "5m"}}, InvalidRequest, "deploy.traffic.canary: .*whole percents"),
        ({"readiness_timeout": "3h"}, InvalidRequest, "deploy.readiness_timeout: .*7200 s"),
        ({"envs": {"AIP_HTTP_PORT": "1"}}, InvalidRequest, "deploy.envs: .*AIP_HTTP_PORT"),
    ],
)
def test_what_has_no_place_is_refused(spec: dict[str, Any], kind: type[CloudopsError], text: str) -> None:
    with pytest.raises(kind, match=text):
        served(request(**spec))


def test_a_private_endpoint_has_no_canary() -> None:
    options = VertexDeployOptions(private_to=["other-team"])
    with pytest.raises(UnsupportedFeature, match="private"):
        served(request(options=options, traffic={"canary": "10%", "bake": "5m"}))


def test_what_is_worth_knowing_is_told() -> None:
    notes = " ".join(served(request(secrets={"KEY": "x"}, traffic={"canary": "10%", "bake": "1m"})).notes)
    assert "whoever looks" in notes
    assert "bake for longer" in notes
    assert "service_account" in notes
    assert "x" not in json.dumps(served(request(secrets={"KEY": "swordfish"})).model).split("swordfish")[1:]


def test_shares_are_whole_percents() -> None:
    assert serving.percents({"a": 25.0, "b": 75, "c": 0}) == {"a": 25, "b": 75}
    for wrong in ({"a": 40, "b": 50}, {"a": 60.5, "b": 39.5}, {"a": -40, "b": 140}, {}, {"a": float("nan")}):
        with pytest.raises(InvalidRequest):
            serving.percents(wrong)


REF = Ref("vertex", "my-project/us-central1", "endpoints", "flights")


@pytest.mark.parametrize(("share", "count"), [(100, 1), (50, 20), (20, 62), (10, 132)])
def test_a_version_is_asked_for_until_it_has_almost_surely_answered(share: int, count: int) -> None:
    assert predicting.tries(REF, "v", share) == count


def test_a_version_with_a_small_share_cannot_be_asked_for() -> None:
    with pytest.raises(UnsupportedFeature, match="5 % of the requests"):
        predicting.tries(REF, "v", 5)


@pytest.mark.parametrize(
    ("http", "kind"), [(400, InvalidRequest), (415, InvalidRequest), (500, ProviderError), (503, Unavailable)]
)
def test_what_a_model_answers_is_told_in_its_words(http: int, kind: type[ProviderError]) -> None:
    class Session:
        calls = 0

        def request(self, *_: Any, **__: Any) -> Any:
            raise Refused(Answered("FAILED_PRECONDITION", '{"error": "a row needs x"}', http))

    asking: Any = predicting.Predicting(Session(), None)  # type: ignore[arg-type]
    asking._endpoints = type("E", (), {"name": staticmethod(lambda name: name)})
    asking._known["flights"] = predicting.Known("host")
    with pytest.raises(kind, match=f"answered {http}: a row needs x") as caught:
        asking.send(REF, b"{}", "application/json", None)
    assert type(caught.value) is kind
