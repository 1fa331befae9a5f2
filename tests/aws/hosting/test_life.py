"""Where processes begin and end: close, reset, a killed emulator, a kept one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import botocore.exceptions
import psutil
import pytest
from cloudops_sagemaker.emulator import SageMakerEmulator

from cloudops.offline.clock import Clock
from cloudops.offline.emulator import Surroundings
from cloudops.offline.faults import FaultKind, Faults, Rule

from .rig import BUCKET, Cloud, until

#: Starts an endpoint, tells the process that serves it, and waits to be killed.
VICTIM = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from hosting.rig import Cloud
cloud = Cloud(Path(sys.argv[1]))
cloud.config("c", cloud.model("a"))
cloud.endpoint("e", "c")
print(cloud.ask()["pid"], flush=True)
time.sleep(600)
"""


def test_nothing_outlives_reset_and_close(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"), count=2)
    cloud.endpoint("e", "c")
    pids = {cloud.ask()["pid"] for _ in range(20)}
    cloud.sm.create_endpoint(EndpointName="starting", EndpointConfigName="c")
    shims = _shims(cloud)
    cloud.emulator.reset()
    assert not any(_alive(pid) for pid in pids)
    until(lambda: not any(_alive(pid) for pid in shims), 10)
    assert not cloud.sm.list_endpoints()["Endpoints"]
    cloud.s3.create_bucket(Bucket="models")
    cloud.config("c", cloud.model("a"))
    cloud.endpoint("e", "c")
    pid = cloud.ask()["pid"]
    cloud.emulator.close()
    assert not _alive(pid)


def test_a_killed_emulator_takes_its_instances_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", VICTIM, str(tmp_path / "cloud"), str(Path(__file__).parent.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        pid = int(victim.stdout.readline())
        assert psutil.pid_exists(pid)
        victim.kill()
    until(lambda: not _alive(pid), 10)


def test_an_instance_that_is_killed_is_replaced(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"))
    cloud.endpoint("e", "c")
    pid = cloud.ask()["pid"]
    os.kill(pid, signal.SIGKILL)
    assert cloud.ask()["pid"] != pid  # the request waits for the next one


def test_an_instance_whose_health_checks_fail_is_replaced(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"), count=2)
    cloud.endpoint("e", "c")
    before = {cloud.ask()["pid"] for _ in range(40)}
    cloud.faults.add(Rule(FaultKind.UNHEALTHY, "sagemaker:endpoint-instance", "e"))
    until(lambda: not cloud.faults.rules())
    assert cloud.sm.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService"
    # The other one answers meanwhile.
    assert all(cloud.ask()["pid"] in before for _ in range(10))
    until(lambda: _ready(cloud) == 2)
    after = {cloud.ask()["pid"] for _ in range(40)}
    assert (len(after & before), len(after - before)) == (1, 1)


def test_health_checks_that_go_on_failing_leave_nobody_to_answer(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"))
    cloud.endpoint("e", "c")
    fault = cloud.faults.add(Rule(FaultKind.UNHEALTHY, "sagemaker:endpoint-instance", "e", times=None))
    until(lambda: _ready(cloud) == 0)
    with pytest.raises(botocore.exceptions.ClientError):
        cloud.ask()
    assert cloud.sm.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService"
    cloud.faults.remove(fault.id)
    until(lambda: _ready(cloud) == 1)
    assert cloud.ask()["twice"] == 6


def _ready(cloud: Cloud) -> int:
    found = cloud.sm.describe_endpoint(EndpointName="e")["ProductionVariants"]
    return int(found[0]["CurrentInstanceCount"])


def test_endpoints_come_back_from_disk(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, keep=True)
    cloud.config("c", cloud.model("a"))
    cloud.endpoint("e", "c")
    wanted = [{"VariantName": "v0", "DesiredInstanceCount": 2}]
    cloud.sm.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=wanted)
    cloud.wait("e")
    cloud.ask()
    cloud.sm.delete_endpoint_config(EndpointConfigName="c")
    cloud.close()
    again = Cloud(tmp_path, keep=True, fresh=False)
    try:
        found = again.wait("e")
        assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 2
        assert again.ask()["twice"] == 6
        metrics = again.cloudwatch.list_metrics(Namespace="AWS/SageMaker")["Metrics"]
        assert "ModelLatency" in {one["MetricName"] for one in metrics}
    finally:
        again.close()


@pytest.mark.parametrize("literal", [True, False])
def test_an_own_image_is_run_as_serve(tmp_path: Path, literal: bool) -> None:
    """Whether or not ``/opt/ml`` is that very path inside the container."""
    cloud = Cloud(tmp_path, literal=literal, images={"*/mine:*": sys.executable})
    if literal and not cloud.emulator._site.literal:
        pytest.skip("this machine has no user namespaces")
    try:
        serve = f"""#!{sys.executable}
import http.server, json, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        weights = json.load(open(os.environ["WEIGHTS"]))
        answer = json.dumps({{**weights, "got": self.rfile.read(size).decode(), "home": os.environ["WEIGHTS"]}})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer.encode())

port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
        data = cloud.artifact("own", files={"code/serve": serve})
        image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"
        environment = {"WEIGHTS": "/opt/ml/model/weights.json"}
        cloud.sm.create_model(
            ModelName="own",
            ExecutionRoleArn="arn:aws:iam::123456789012:role/cloudops-sagemaker",
            PrimaryContainer={"Image": image, "ModelDataUrl": data, "Environment": environment},
        )
        cloud.config("c", "own")
        cloud.endpoint("e", "c")
        answer = json.loads(cloud.runtime.invoke_endpoint(EndpointName="e", Body=b"hello")["Body"].read())
        assert (answer["factor"], answer["got"]) == (2, "hello")
        assert (answer["home"] == "/opt/ml/model/weights.json") is literal
    finally:
        cloud.close()


def test_the_caller_is_not_seen_inside(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLERS_SECRET", "x")
    script = """
import json, os

def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    return json.dumps({"env": dict(os.environ)}), accept
"""
    cloud.config("c", cloud.model("seen", script))
    cloud.endpoint("e", "c")
    found = cloud.ask()["env"]
    assert "CALLERS_SECRET" not in found
    assert found["AWS_ACCESS_KEY_ID"] not in ("", "AKIAOFFLINECLOUDOPS0")
    assert found["NAME"] == "seen"


def test_a_state_that_nobody_knows(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"))
    cloud.endpoint("e", "c")
    cloud.faults.add(Rule(FaultKind.UNKNOWN_STATE, "sagemaker:endpoint", "e"))
    assert cloud.sm.describe_endpoint(EndpointName="e")["EndpointStatus"] == "Hibernating"
    assert cloud.sm.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService"


def test_what_exists_is_listed(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"))
    cloud.endpoint("e", "c")
    found = {(one.kind, one.name, one.state) for one in cloud.emulator.resources()}
    own = {one for one in found if one[0] in ("model", "endpoint-config", "endpoint")}
    assert own == {("model", "a", ""), ("endpoint-config", "c", ""), ("endpoint", "e", "InService")}
    assert ("bucket", BUCKET, "") in found


def test_an_emulator_without_endpoints_ends(tmp_path: Path) -> None:
    emulator = SageMakerEmulator(Surroundings(tmp_path, Clock(), Faults(), {}))
    emulator.close()


def _shims(cloud: Cloud) -> list[int]:
    hosted = cloud.emulator._site.region("us-east-1").find("endpoint", "starting").live
    return [one.pid for fleet in hosted.made for one in fleet.made if one.pid is not None]


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_is_replaced_and_deleted_leaves_no_files(cloud: Cloud) -> None:
    folder = cloud.emulator._site.region("us-east-1").folder
    cloud.config("c", cloud.model("a"))
    cloud.config("d", cloud.model("b"))
    cloud.endpoint("e", "c")
    first = {path for path in folder.rglob("weights.json") if "endpoints" in path.parts}
    assert first
    cloud.sm.update_endpoint(EndpointName="e", EndpointConfigName="d")
    cloud.wait("e", "Updating")
    cloud.wait("e")
    until(lambda: not any(path.exists() for path in first), 20)
    assert cloud.ask()["name"] == "b"
    cloud.sm.delete_endpoint(EndpointName="e")
    until(lambda: not cloud.sm.list_endpoints()["Endpoints"], 20)
    until(lambda: not any(path.is_file() for path in folder.rglob("*")), 20)
