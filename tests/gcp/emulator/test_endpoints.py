"""Models are served by their containers: health gate, traffic, limits, and what the metrics tell of it."""

from __future__ import annotations

from typing import Any

import pytest

from cloudops.offline.faults import FaultKind, Rule

from .rig import HOST, PARENT, SERVING, Cloud

pytestmark = pytest.mark.timeout(120)

SERVER = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if self.path == os.environ["AIP_HEALTH_ROUTE"] else 404, b"{}")
    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != os.environ["AIP_PREDICT_ROUTE"]:
            return self.answer(404, b"no such route")
        if self.headers["Content-Type"] != "application/json":
            return self.answer(200, data[::-1], self.headers["Content-Type"])
        asked = json.loads(data)
        if asked["instances"] == ["bad"]:
            return self.answer(400, b'{"error": "bad instance"}')
        if asked["instances"] == ["large"]:
            return self.answer(200, json.dumps({"predictions": ["x" * 2_000_000]}).encode())
        print("asked for", len(asked["instances"]), flush=True)
        told = [[os.environ["NAME"], one] for one in asked["instances"]]
        self.answer(200, json.dumps({"predictions": told, "metadata": {"p": asked.get("parameters")}}).encode())
    def answer(self, status, data, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass
if os.environ.get("BROKEN"):
    sys.exit("the model is broken")
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
"""


def upload(cloud: Cloud, name: str = "one", parent: str = "", **env: str) -> str:
    """The name of a new version of a model, ``models/ID@VERSION``."""
    container = {
        "imageUri": SERVING,
        "command": ["python", "-c", SERVER],
        "env": [{"name": key, "value": value} for key, value in {"NAME": name, **env}.items()],
    }
    body = {"model": {"displayName": name, "containerSpec": container}, "parentModel": parent}
    found = cloud.response(cloud.rest("POST", f"{PARENT}/models:upload", body))
    return f"{found['model']}@{found['modelVersionId']}"


def endpoint(cloud: Cloud, **more: Any) -> str:
    name: str = cloud.response(cloud.rest("POST", f"{PARENT}/endpoints", {"displayName": "e", **more}))["name"]
    return name


def deploy(cloud: Cloud, where: str, model: str, split: dict[str, int] | None = None, **more: Any) -> str:
    resources = {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1}
    deployed = {"model": model, "dedicatedResources": {**resources, **more}}
    body = {"deployedModel": deployed, "trafficSplit": split or {}}
    found: str = cloud.response(cloud.rest("POST", f"{where}:deployModel", body))["deployedModel"]["id"]
    return found


def names(cloud: Cloud, where: str, count: int) -> set[str]:
    found = [cloud.rest("POST", f"{where}:predict", {"instances": [1]})["predictions"][0][0] for _ in range(count)]
    return set(found)


def test_a_model_is_served(cloud: Cloud) -> None:
    model, where = upload(cloud), endpoint(cloud)
    deployed = deploy(cloud, where, model)
    answer = cloud.rest("POST", f"{where}:predict", {"instances": [1, {"a": [True, None]}], "parameters": {"x": 2}})
    assert answer["predictions"] == [["one", 1], ["one", {"a": [True, None]}]]
    assert answer["metadata"] == {"p": {"x": 2}}
    assert (answer["deployedModelId"], answer["modelVersionId"]) == (deployed, "1")
    assert f"{answer['model']}@1" == model
    told = cloud.rest("GET", where)
    assert told["trafficSplit"] == {deployed: 100}
    assert told["deployedModels"][0]["dedicatedResources"]["maxReplicaCount"] == 1
    assert cloud.rest("GET", model)["deployedModels"] == [{"endpoint": where, "deployedModelId": deployed}]
    cloud.until(lambda: cloud.log("aiplatform.googleapis.com/Endpoint"), lambda found: "asked for 2" in found)


def test_a_body_goes_raw_and_who_answered_is_told(cloud: Cloud) -> None:
    where = endpoint(cloud)
    deployed = deploy(cloud, where, upload(cloud))
    raw = cloud.send("POST", f"/v1/{where}:rawPredict", b"abc", kind="text/x")
    assert (raw.data, raw.headers["Content-Type"]) == (b"cba", "text/x")
    assert raw.headers["X-Vertex-AI-Deployed-Model-Id"] == deployed
    code, _, answer = cloud.grpc(
        "google.cloud.aiplatform.v1.PredictionService.RawPredict",
        {"endpoint": where, "httpBody": {"data": "YWJj", "contentType": "text/x"}},
    )
    assert (code, answer) == (0, {"contentType": "text/x", "data": "Y2Jh"})


def test_what_the_server_refuses_is_told_with_its_words(cloud: Cloud) -> None:
    where = endpoint(cloud)
    deploy(cloud, where, upload(cloud))
    bad = cloud.try_rest("POST", f"{where}:predict", {"instances": ["bad"]})
    assert (bad.status, bad.json["error"]["message"]) == (400, '{"error": "bad instance"}')
    large = cloud.try_rest("POST", f"{where}:predict", {"instances": ["x" * 1_600_000]})
    assert (large.status, "exceeds 1.500MB limit" in large.json["error"]["message"]) == (400, True)
    answer = cloud.try_rest("POST", f"{where}:predict", {"instances": ["large"]})
    assert (answer.status, "response size" in answer.json["error"]["message"]) == (400, True)


def test_traffic_is_split_and_moved(cloud: Cloud) -> None:
    where = endpoint(cloud)
    first = deploy(cloud, where, upload(cloud, "one"))
    second = deploy(cloud, where, upload(cloud, "two"), {"0": 50, first: 50})
    assert names(cloud, where, 30) == {"one", "two"}
    cloud.rest("PATCH", f"{where}?updateMask=trafficSplit", {"trafficSplit": {second: 100}})
    assert names(cloud, where, 10) == {"two"}
    wrong = cloud.try_rest("PATCH", f"{where}?updateMask=trafficSplit", {"trafficSplit": {second: 90}})
    assert "must add up to 100" in wrong.json["error"]["message"]
    refused = cloud.try_rest("POST", f"{where}:undeployModel", {"deployedModelId": second})
    assert "has traffic" in refused.json["error"]["message"]
    cloud.response(cloud.rest("POST", f"{where}:undeployModel", {"deployedModelId": first}))
    cloud.response(cloud.rest("POST", f"{where}:undeployModel", {"deployedModelId": second}))
    none = cloud.try_rest("POST", f"{where}:predict", {"instances": [1]})
    assert (none.status, none.json["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert cloud.rest("DELETE", where)["done"]


def test_an_endpoint_with_a_model_is_not_deleted(cloud: Cloud) -> None:
    model, where = upload(cloud), endpoint(cloud)
    deploy(cloud, where, model)
    refused = cloud.try_rest("DELETE", where)
    assert "has deployed or being-deployed DeployedModel(s)" in refused.json["error"]["message"]
    refused = cloud.try_rest("DELETE", model.partition("@")[0])
    assert "is deployed to" in refused.json["error"]["message"]


def test_a_server_that_does_not_come_up_fails_the_deployment_and_leaves_nothing(cloud: Cloud) -> None:
    where, model = endpoint(cloud), upload(cloud, BROKEN="1")
    body = {
        "deployedModel": {
            "model": model,
            "dedicatedResources": {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1},
        }
    }
    done = cloud.done(cloud.rest("POST", f"{where}:deployModel", body))
    assert done["error"]["code"] == 9
    assert "Model server never became ready" in done["error"]["message"]
    assert "deployedModels" not in cloud.rest("GET", where)
    cloud.until(lambda: cloud.log("aiplatform.googleapis.com/Endpoint"), lambda found: "the model is broken" in found)
    assert cloud.rest("DELETE", where)["done"]


def test_ids_of_the_callers_choice_are_short_numbers(cloud: Cloud) -> None:
    where, model = endpoint(cloud), upload(cloud)
    resources = {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1}
    for wrong in ("0", "12345678901", "a"):
        body = {"deployedModel": {"model": model, "id": wrong, "dedicatedResources": resources}}
        assert "1-10 digits" in cloud.try_rest("POST", f"{where}:deployModel", body).json["error"]["message"]
    body = {"deployedModel": {"model": model, "id": "1234567890", "dedicatedResources": resources}}
    operation = cloud.rest("POST", f"{where}:deployModel", body)
    assert cloud.response(operation)["deployedModel"] == {"id": "1234567890"}
    assert cloud.try_rest("POST", f"{where}:deployModel", body).status == 409
    times = cloud.rest("GET", operation["name"])["metadata"]["genericMetadata"]
    assert times["updateTime"] > times["createTime"]


def test_replicas_follow_requests(cloud: Cloud) -> None:
    where = endpoint(cloud)
    metric = {"metricName": "aiplatform.googleapis.com/prediction/online/request_count", "target": 5}
    deployed = deploy(cloud, where, upload(cloud), maxReplicaCount=2, autoscalingMetricSpecs=[metric])
    names(cloud, where, 8)
    fleet = cloud.site.store.all("endpoints")[0].live.fleets[deployed]
    cloud.until(fleet.ready, lambda count: count == 2)


def test_replicas_can_be_more_and_are_told(cloud: Cloud) -> None:
    where = endpoint(cloud)
    deployed = deploy(cloud, where, upload(cloud), maxReplicaCount=2)
    change = {
        "id": deployed,
        "dedicatedResources": {
            "machineSpec": {"machineType": "n1-standard-2"},
            "minReplicaCount": 2,
            "maxReplicaCount": 2,
        },
    }
    body = {
        "deployedModel": change,
        "updateMask": "dedicatedResources.minReplicaCount,dedicatedResources.maxReplicaCount",
    }
    cloud.response(cloud.rest("POST", f"{where}:mutateDeployedModel", body))
    fleet = cloud.site.store.all("endpoints")[0].live.fleets[deployed]
    assert fleet.ready() == 2
    assert cloud.rest("GET", where)["deployedModels"][0]["dedicatedResources"]["minReplicaCount"] == 2


def test_a_dedicated_endpoint_answers_at_its_own_name_only(cloud: Cloud) -> None:
    where = endpoint(cloud, dedicatedEndpointEnabled=True)
    deploy(cloud, where, upload(cloud))
    dns = cloud.rest("GET", where)["dedicatedEndpointDns"]
    assert dns.endswith(".prediction.vertexai.goog")
    refused = cloud.try_rest("POST", f"{where}:predict", {"instances": [1]})
    assert f"cannot be accessed through the shared Vertex AI domain {HOST}" in refused.json["error"]["message"]
    assert cloud.rest("POST", f"{where}:predict", {"instances": [1]}, host=dns)["predictions"] == [["one", 1]]


def test_versions_of_a_model_have_numbers_and_aliases(cloud: Cloud) -> None:
    first = upload(cloud)
    model = first.partition("@")[0]
    second = upload(cloud, "two", model)
    assert second == f"{model}@2"
    assert cloud.rest("GET", model)["versionId"] == "1"
    merged = cloud.rest("POST", f"{second}:mergeVersionAliases", {"versionAliases": ["default", "best"]})
    assert merged["versionAliases"] == ["best", "default"]
    assert cloud.rest("GET", model)["displayName"] == cloud.rest("GET", f"{model}@best")["displayName"] == "two"
    found = cloud.rest("GET", f"{model}:listVersions")["models"]
    assert [one["versionId"] for one in found] == ["2", "1"]
    assert [one["versionId"] for one in cloud.rest("GET", f"{PARENT}/models")["models"]] == ["2"]
    refused = cloud.try_rest("DELETE", f"{model}@2:deleteVersion")
    assert "default version" in refused.json["error"]["message"]
    assert cloud.rest("DELETE", f"{model}@1:deleteVersion")["done"]
    assert cloud.rest("DELETE", model)["done"]
    assert cloud.try_rest("GET", model).status == 404


def test_an_artifact_is_copied_and_outlives_the_original(cloud: Cloud) -> None:
    cloud.site.buckets.create("mine", project="example-project")
    cloud.site.buckets.put("mine", "m/a/b", b"weights")
    body = {"model": {"displayName": "m", "artifactUri": "gs://mine/m", "containerSpec": {"imageUri": SERVING}}}
    model = cloud.response(cloud.rest("POST", f"{PARENT}/models:upload", body))["model"]
    cloud.site.buckets.delete("mine", "m/a/b")
    copies = [one for one in cloud.site.buckets.buckets() if one.name.startswith("caip-tenant-")]
    found = cloud.site.buckets.list(copies[0].name)
    assert [one.name for one in found] == [f"{model.rpartition('/')[2]}/1/a/b"]
    assert cloud.rest("DELETE", model)["done"]
    assert not list(cloud.site.buckets.list(copies[0].name))
    missing = {"model": {"displayName": "m", "artifactUri": "gs://mine/none", "containerSpec": {"imageUri": SERVING}}}
    failed = cloud.done(cloud.rest("POST", f"{PARENT}/models:upload", missing))
    assert "does not exist" in failed["error"]["message"]


def test_requests_are_counted(cloud: Cloud) -> None:
    where = endpoint(cloud)
    deployed = deploy(cloud, where, upload(cloud))
    for instance in (1, 2, "bad"):
        cloud.try_rest("POST", f"{where}:predict", {"instances": [instance]})
    metric = "aiplatform.googleapis.com/prediction/online/response_count"
    now = cloud.clock.now()
    import datetime as dt

    start, end = (dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (now - 600, now + 120))
    query = f"filter=metric.type%3D%22{metric}%22&interval.startTime={start}&interval.endTime={end}"
    found = cloud.rest(
        "GET", f"projects/example-project/timeSeries?{query}", version="v3", host="monitoring.googleapis.com"
    )
    counts = {
        one["metric"]["labels"]["response_code"]: sum(int(point["value"]["int64Value"]) for point in one["points"])
        for one in found["timeSeries"]
    }
    assert counts == {"200": 2, "400": 1}
    assert {one["metric"]["labels"]["deployed_model_id"] for one in found["timeSeries"]} == {deployed}


def test_health_checks_that_fail_hold_a_deployment_back(cloud: Cloud) -> None:
    where, model = endpoint(cloud), upload(cloud)
    cloud.faults.add(Rule(FaultKind.SLOW_START, "aiplatform:endpoint", seconds=300))
    body = {
        "deployedModel": {
            "model": model,
            "dedicatedResources": {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1},
        }
    }
    operation = cloud.rest("POST", f"{where}:deployModel", body)
    assert "done" not in cloud.rest("GET", operation["name"])
    assert "being-deployed" in cloud.try_rest("DELETE", where).json["error"]["message"]
    cloud.until(lambda: cloud.site.store.all("endpoints")[0].live.fleets, bool)
    cloud.clock.advance(301)
    assert "error" not in cloud.done(operation)


def test_what_has_no_effect_is_told_and_what_would_matter_is_refused(cloud: Cloud) -> None:
    where, model = endpoint(cloud), upload(cloud)
    deploy(cloud, where, model, spot=True)
    cloud.until(
        lambda: cloud.log("aiplatform.googleapis.com/Endpoint"),
        lambda found: any("without effect here: dedicated_resources.spot" in line for line in found),
    )
    metric = "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle"
    resources = {
        "machineSpec": {"machineType": "n1-standard-2"},
        "minReplicaCount": 1,
        "autoscalingMetricSpecs": [{"metricName": metric, "target": 5}],
    }
    body = {"deployedModel": {"model": model, "dedicatedResources": resources}}
    refused = cloud.try_rest("POST", f"{where}:deployModel", body)
    assert (refused.status, metric in refused.json["error"]["message"]) == (501, True)
    network = {"displayName": "e", "network": "projects/1/global/networks/n"}
    assert cloud.try_rest("POST", f"{PARENT}/endpoints", network).status == 501
