"""The application around the operations: faults as each service answers them, the call log, what runs ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudops.offline.environment import resolved
from cloudops.offline.faults import ANSWERS, RUNNING, FaultKind

from .rig import ROLE, Rig, refusal

CALLS = {
    "sagemaker": ("describe_training_job", {"TrainingJobName": "a"}),
    "s3": ("get_object", {"Bucket": "b-b-b", "Key": "k"}),
    "iam": ("get_role", {"RoleName": "r"}),
    "cloudwatch": ("list_metrics", {}),
    "logs": ("describe_log_groups", {}),
    "sagemaker-runtime": ("invoke_endpoint", {"EndpointName": "e", "Body": b""}),
}
CODES = {
    ("sagemaker", FaultKind.THROTTLING): "ThrottlingException",
    ("s3", FaultKind.THROTTLING): "SlowDown",
    ("iam", FaultKind.THROTTLING): "Throttling",
    ("sagemaker", FaultKind.SERVER_ERROR): "InternalFailure",
    ("s3", FaultKind.SERVER_ERROR): "InternalError",
    ("sagemaker", FaultKind.ACCESS_DENIED): "AccessDeniedException",
    ("s3", FaultKind.ACCESS_DENIED): "AccessDenied",
    ("cloudwatch", FaultKind.ACCESS_DENIED): "AccessDeniedException",
    ("sagemaker", FaultKind.EXPIRED_CREDENTIALS): "ExpiredTokenException",
    ("s3", FaultKind.EXPIRED_CREDENTIALS): "ExpiredToken",
    ("sagemaker", FaultKind.MISSING_CREDENTIALS): "UnrecognizedClientException",
    ("iam", FaultKind.MISSING_CREDENTIALS): "InvalidClientTokenId",
    ("sagemaker", FaultKind.QUOTA): "ResourceLimitExceeded",
}


@pytest.fixture
def refusing(rig):
    """What answers every call with a fault, as the proxy in front of an emulator does."""
    from werkzeug.serving import make_server

    class Refusing:
        kind = FaultKind.THROTTLING

        def __call__(self, environ, start_response):
            self.asked = rig.emulator.operation(environ)
            return rig.emulator.refuse(self.kind, environ, start_response)

    import threading

    application = Refusing()
    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    application.url = f"http://127.0.0.1:{server.server_port}"
    yield application
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", sorted(ANSWERS))
@pytest.mark.parametrize("service", CALLS)
def test_a_fault_is_answered_as_the_service_does(rig, refusing, service, kind, monkeypatch):
    refusing.kind = kind
    monkeypatch.setattr(rig, "url", refusing.url)
    name, params = CALLS[service]
    code, message = refusal(getattr(rig.client(service), name), **params)
    assert code == CODES.get((service, kind), code)
    assert code
    assert message
    if kind == FaultKind.ACCESS_DENIED:
        assert f"is not authorized to perform: {refusing.asked[0]}" in message
    called = rig.emulator.calls()[-1]
    assert called["operation"] == refusing.asked[0]
    assert called["status"] >= 400


def test_only_faults_that_are_answers_are_answered(rig):
    for kind in RUNNING:
        with pytest.raises(ValueError, match=kind):
            rig.emulator.refuse(kind, {"wsgi.input": io.BytesIO(), "REQUEST_METHOD": "GET"}, lambda *_: None)


@pytest.mark.parametrize(
    ("service", "operation", "params", "action"),
    [
        ("s3", "ListObjectsV2", {"Bucket": "data"}, "s3:ListBucket"),
        ("s3", "ListObjects", {"Bucket": "data"}, "s3:ListBucket"),
        ("s3", "HeadBucket", {"Bucket": "data"}, "s3:ListBucket"),
        ("s3", "ListBuckets", {}, "s3:ListAllMyBuckets"),
        ("s3", "GetBucketLocation", {"Bucket": "data"}, "s3:GetBucketLocation"),
        ("s3", "PutObject", {"Bucket": "data", "Key": "a b/ü"}, "s3:PutObject"),
        ("s3", "GetObject", {"Bucket": "data", "Key": "a b/ü"}, "s3:GetObject"),
        ("s3", "HeadObject", {"Bucket": "data", "Key": "a b/ü"}, "s3:GetObject"),
        ("s3", "CopyObject", {"Bucket": "data", "Key": "c", "CopySource": "data/a b/ü"}, "s3:PutObject"),
        ("s3", "CreateMultipartUpload", {"Bucket": "data", "Key": "m"}, "s3:PutObject"),
        (
            "s3",
            "PutObjectTagging",
            {"Bucket": "data", "Key": "c", "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}},
            "s3:PutObjectTagging",
        ),
        ("s3", "DeleteObject", {"Bucket": "data", "Key": "c"}, "s3:DeleteObject"),
        ("s3", "DeleteObjects", {"Bucket": "data", "Delete": {"Objects": [{"Key": "c"}]}}, "s3:DeleteObject"),
        ("iam", "GetRole", {"RoleName": "cloudops-sagemaker"}, "iam:GetRole"),
        ("sts", "GetCallerIdentity", {}, "sts:GetCallerIdentity"),
        ("cloudwatch", "ListMetrics", {}, "cloudwatch:ListMetrics"),
        ("logs", "DescribeLogGroups", {}, "logs:DescribeLogGroups"),
        ("application-autoscaling", "DescribeScalableTargets", {"ServiceNamespace": "sagemaker"}, None),
        ("sagemaker", "ListTrainingJobs", {}, "sagemaker:ListTrainingJobs"),
        ("secretsmanager", "ListSecrets", {}, "secretsmanager:ListSecrets"),
    ],
)
def test_calls_are_noted_by_name_and_action(rig, service, operation, params, action):
    from botocore import xform_name

    before = len(rig.emulator.calls())
    getattr(rig.client(service), xform_name(operation))(**params)
    called = rig.emulator.calls()[before:][-1]
    assert called["operation"] == f"{service}:{operation}"
    assert called["action"] == (action or f"{service}:{operation}")
    assert called["principal"] == "caller"
    assert 200 <= called["status"] < 300


SCOPE = "AWS4-HMAC-SHA256 Credential=AK/20200101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def test_buckets_by_host_name_and_presigned(rig):
    from werkzeug.test import Client

    rig.put("by-host/x", "1")
    client = Client(rig.emulator.application)
    signed = {"Authorization": SCOPE.format("s3")}
    places = (("data.s3.amazonaws.com", "/by-host/x"), ("s3.us-east-1.amazonaws.com", "/data/by-host/x"))
    for host, path in places:
        assert client.get(path, base_url=f"https://{host}", headers=signed).data == b"1", host
        assert rig.emulator.calls()[-1]["operation"] == "s3:GetObject"
        assert rig.emulator.calls()[-1]["resource"] == "data/by-host/x"
    query = "X-Amz-Credential=AK%2F20200101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=1"
    assert client.get(f"/by-host/x?{query}", base_url="https://data.s3.us-east-1.amazonaws.com").data == b"1"


def test_the_metadata_service_is_no_bucket(rig):
    from werkzeug.test import Client

    answer = Client(rig.emulator.application).get(
        "/latest/meta-data/iam/security-credentials/", base_url="http://169.254.169.254"
    )
    assert answer.status_code == 200
    assert rig.emulator.calls()[-1]["operation"].startswith("imds:")


def test_a_service_that_nobody_emulates_is_an_error_of_a_service(rig, capsys):
    from werkzeug.test import Client

    answer = Client(rig.emulator.application).post(
        "/",
        base_url="https://nosuchservice.us-east-1.amazonaws.com",
        headers={"Authorization": SCOPE.format("nosuchservice"), "X-Amz-Target": "A.Do"},
    )
    body = json.loads(answer.data)
    assert (answer.status_code, body["__type"]) == (501, "NotImplemented")
    assert "nosuchservice:Do is not emulated" in body["message"]
    assert capsys.readouterr().out == ""


def test_a_command_keeps_its_region_and_loses_its_endpoints(tmp_path):
    """Through a server, which knows nothing of the caller's variables itself."""
    seen = "import os; print(os.environ['AWS_REGION'], os.environ.get('AWS_ENDPOINT_URL_S3'))"
    environ = {**os.environ, "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    environ.pop("AWS_REGION", None)
    command = [str(Path(sys.executable).with_name("cloudops")), "offline", "run", "--", sys.executable, "-c", seen]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["eu-west-1", "None"]


def test_environment(tmp_path):
    from cloudops_sagemaker.emulator import SageMakerEmulator

    found = resolved(
        SageMakerEmulator.environment(tmp_path / "env"),
        {"AWS_REGION": "eu-central-1", "AWS_PROFILE": "mine", "AWS_ENDPOINT_URL_S3": "http://elsewhere", "OTHER": "1"},
    )
    assert found.variables["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert set(found.unset) == {"AWS_PROFILE", "AWS_ENDPOINT_URL_S3"}
    assert resolved(SageMakerEmulator.environment(tmp_path / "env"), {}).variables["AWS_REGION"] == "us-east-1"
    assert not set(found.unset) & set(found.variables)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "SAGEMAKER_USER_CONFIG_OVERRIDE"):
        assert os.path.exists(found.variables[name])


class TestEnd:
    def running(self, rig):
        name = rig.submit("trap '' TERM; echo up $$; while :; do sleep 0.1; done")
        rig.wait_for_log(name, "up")
        return name, int(rig.log(name)[0].split()[1])

    def test_close_ends_what_runs_at_once(self, tmp_path):
        rig = Rig(tmp_path)
        _, pid = self.running(rig)
        begun = time.monotonic()
        rig.close()
        assert time.monotonic() - begun < 10
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_reset_forgets_everything_twice(self, tmp_path):
        rig = Rig(tmp_path)
        try:
            for _ in range(2):
                name, pid = self.running(rig)
                rig.emulator.reset()
                with pytest.raises(ProcessLookupError):
                    os.kill(pid, 0)
                assert rig.emulator.calls() == []
                assert rig.s3.list_buckets()["Buckets"] == []
                assert rig.refused("describe_training_job", TrainingJobName=name)[1] == "Requested resource not found."
                assert rig.client("iam").get_role(RoleName="cloudops-sagemaker")["Role"]["Arn"] == ROLE
                rig.s3.create_bucket(Bucket="data")
            assert rig.run()["TrainingJobStatus"] == "Completed"
        finally:
            rig.close()

    def test_resources(self, tmp_path):
        rig = Rig(tmp_path)
        try:
            done = rig.run()["TrainingJobName"]
            name, _ = self.running(rig)
            found = [one for one in rig.emulator.resources() if one.kind == "training-job"]
            assert [(one.kind, one.name, one.state, one.place) for one in found] == [
                ("training-job", name, "InProgress", "us-east-1"),
                ("training-job", done, "Completed", "us-east-1"),
            ]
        finally:
            rig.close()


class TestRewritten:
    """Without user namespaces ``/opt/ml`` is rewritten."""

    def test_in_arguments_and_variables(self, tmp_path):
        rig = Rig(tmp_path, literal=False)
        try:
            job = rig.run(
                'echo $DATA; cat "$SM_OPT_ML"/input/config/hyperparameters.json; echo m > "$SM_OPT_ML"/model/m',
                Environment={"DATA": "/opt/ml/input/data:/opt/mlx:/opt/ml"},
                HyperParameters={"a": "1"},
            )
            assert job["TrainingJobStatus"] == "Completed", rig.log(job["TrainingJobName"])
            paths, settings = rig.log(job["TrainingJobName"])
            first, other, root = paths.split(":")
            assert (first, other) == (f"{root}/input/data", "/opt/mlx")
            assert root.startswith(str(tmp_path))
            assert settings == '{"a": "1"}'
        finally:
            rig.close()


def test_five_hundred_jobs_are_listed_and_watched(tmp_path):
    from cloudops_sagemaker.emulator.region import Record
    from cloudops_sagemaker.emulator.training_job import enter

    rig = Rig(tmp_path)
    try:
        region = rig.emulator._site.region("us-east-1")
        for number in range(500):
            described = {"TrainingJobName": f"n-{number}", "TrainingJobArn": f"arn-{number}", "CreationTime": number}
            described["SecondaryStatusTransitions"] = []
            enter(described, "Completed", "", number, "Completed")
            region.add(Record("training-job", f"n-{number}", described, number))
        begun = time.monotonic()
        pages = rig.sm.get_paginator("list_training_jobs").paginate(MaxResults=100)
        assert sum(len(page["TrainingJobSummaries"]) for page in pages) == 500
        assert time.monotonic() - begun < 5
    finally:
        rig.close()


def test_more_jobs_than_workers_wait_in_their_first_state(rig):
    names = [rig.submit("sleep 0.2") for _ in range(20)]
    states = {rig.describe(name)["SecondaryStatus"] for name in names}
    assert "Starting" in states
    for name in names:
        assert rig.finish(name)["TrainingJobStatus"] == "Completed"


def test_a_file_is_streamed_into_s3_and_out(rig, tmp_path):
    import hashlib

    from cloudops_sagemaker.emulator import aws

    region = rig.emulator._site.region("us-east-1")
    source, target = tmp_path / "big", tmp_path / "back" / "big"
    source.write_bytes(os.urandom(20 << 20))
    aws.upload(region, source, "s3://data/big")
    (one,) = aws.objects(region, "s3://data/big")
    assert one.size == 20 << 20
    head = rig.s3.head_object(Bucket="data", Key="big")
    assert head["ETag"].strip('"') == hashlib.md5(source.read_bytes()).hexdigest()
    aws.download(region, one, target)
    assert target.read_bytes() == source.read_bytes()
