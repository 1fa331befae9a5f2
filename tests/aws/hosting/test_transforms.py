from __future__ import annotations

import gzip
import json
import time
from typing import Any

import botocore.exceptions
import pytest

from cloudops.offline.faults import FaultKind, Rule

from .rig import BUCKET, Cloud, until

#: Answers a line for each line, with the number of lines of its request before it.
SCRIPT = """
import time


def model_fn(model_dir):
    print("loaded", flush=True)


def transform_fn(model, data, content_type, accept):
    lines = data.splitlines()
    if "bad" in lines:
        raise ValueError("a bad line")
    if "slow" in lines:
        time.sleep(30)
    return "\\n".join(f"{len(lines)}:{line.upper()}" for line in lines), accept
"""


@pytest.fixture(scope="module")
def ready(shared_cloud: Cloud) -> Cloud:
    cloud = shared_cloud
    cloud.model("upper", SCRIPT)
    put = cloud.s3.put_object
    put(Bucket=BUCKET, Key="in/a.csv", Body=b"x\ny\nz\n")
    put(Bucket=BUCKET, Key="in/deep/b.csv", Body=b"q\n")
    put(Bucket=BUCKET, Key="packed/a.csv.gz", Body=gzip.compress(b"x\ny\n"))
    put(Bucket=BUCKET, Key="bad/a.csv", Body=b"x\nbad\n")
    put(Bucket=BUCKET, Key="slow/a.csv", Body=b"slow\n")
    manifest = [{"prefix": f"s3://{BUCKET}/in/"}, "deep/b.csv"]
    put(Bucket=BUCKET, Key="manifest.json", Body=json.dumps(manifest).encode())
    return cloud


def start(cloud: Cloud, name: str, source: str = "in/", **options: Any) -> None:
    given = {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{source}"}},
        "ContentType": "text/csv",
        "SplitType": "Line",
        **options.pop("given", {}),
    }
    output = {"S3OutputPath": f"s3://{BUCKET}/out/{name}", "Accept": "text/csv", **options.pop("output", {})}
    cloud.sm.create_transform_job(
        TransformJobName=name,
        ModelName="upper",
        TransformInput=given,
        TransformOutput=output,
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **options,
    )


def finished(cloud: Cloud, name: str, status: str = "Completed") -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = cloud.sm.describe_transform_job(TransformJobName=name)
        return found if found["TransformJobStatus"] not in ("InProgress", "Stopping") else None

    found = until(look, 60)
    assert found["TransformJobStatus"] == status, found
    return found


def output(cloud: Cloud, key: str) -> str:
    return cloud.s3.get_object(Bucket=BUCKET, Key=f"out/{key}.out")["Body"].read().decode()


def test_records_are_batched_and_assembled(ready: Cloud) -> None:
    start(ready, "multi", output={"AssembleWith": "Line"})
    assert ready.sm.describe_transform_job(TransformJobName="multi")["TransformJobStatus"] == "InProgress"
    start(ready, "single", BatchStrategy="SingleRecord", output={"AssembleWith": "Line"}, MaxConcurrentTransforms=4)
    start(ready, "bare", BatchStrategy="SingleRecord")
    found = finished(ready, "multi")
    assert found["BatchStrategy"] == "MultiRecord"
    assert found["TransformStartTime"] <= found["TransformEndTime"]
    assert output(ready, "multi/a.csv") == "3:X\n3:Y\n3:Z\n"
    assert output(ready, "multi/deep/b.csv") == "1:Q\n"
    finished(ready, "single")
    assert output(ready, "single/a.csv") == "1:X\n1:Y\n1:Z\n"
    finished(ready, "bare")
    assert output(ready, "bare/a.csv") == "1:X1:Y1:Z"
    with pytest.raises(ready.sm.exceptions.ResourceInUse):
        start(ready, "single")
    logs = ready.client("logs")
    events = logs.filter_log_events(logGroupName="/aws/sagemaker/TransformJobs")["events"]
    assert any(one["message"] == "loaded" for one in events)
    assert any("BatchStrategy=SingleRecord" in one["message"] for one in events)


def test_packed_objects_and_manifests(ready: Cloud) -> None:
    start(ready, "packed", "packed/", given={"CompressionType": "Gzip"})
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/manifest.json"}}
    start(ready, "listed", given={"DataSource": source})
    finished(ready, "packed")
    assert output(ready, "packed/a.csv.gz") == "2:X\n2:Y"
    finished(ready, "listed")
    assert output(ready, "listed/deep/b.csv") == "1:Q"


def test_what_fails_in_the_model_fails_the_job(ready: Cloud) -> None:
    start(ready, "bad", "bad/", ModelClientConfig={"InvocationsMaxRetries": 1})
    start(ready, "nothing", "nothing/")
    ready.faults.add(Rule(FaultKind.NO_CAPACITY, "sagemaker:transform-job", "later"))
    start(ready, "later")
    assert "See job logs" in finished(ready, "bad", "Failed")["FailureReason"]
    logs = ready.client("logs")
    events = logs.filter_log_events(logGroupName="/aws/sagemaker/TransformJobs")["events"]
    assert any("bad/a.csv: Message: a bad line" in one["message"] for one in events)
    assert "No S3 objects found" in finished(ready, "nothing", "Failed")["FailureReason"]
    assert "CapacityError" in finished(ready, "later", "Failed")["FailureReason"]
    assert not ready.s3.list_objects_v2(Bucket=BUCKET, Prefix="out/bad/").get("Contents")


def test_a_job_is_stopped(ready: Cloud) -> None:
    start(ready, "slow", "slow/")
    logs = ready.client("logs")

    def asked() -> bool:
        group = "/aws/sagemaker/TransformJobs"
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return False
        return bool(logs.filter_log_events(logGroupName=group, logStreamNamePrefix="slow/data-log")["events"])

    until(asked)
    time.sleep(0.3)  # the request is on its way, for 30 seconds
    ready.sm.stop_transform_job(TransformJobName="slow")
    finished(ready, "slow", "Stopped")
    with pytest.raises(botocore.exceptions.ClientError, match="in status Stopped"):
        ready.sm.stop_transform_job(TransformJobName="slow")
    names = {
        one["TransformJobName"]
        for one in ready.sm.list_transform_jobs(StatusEquals="Stopped", MaxResults=1)["TransformJobSummaries"]
    }
    assert names == {"slow"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"MaxPayloadInMB": 50, "MaxConcurrentTransforms": 3}, "must not be more than 100 MB"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "JoinSource Input is not emulated"),
        ({"given": {"SplitType": "None"}, "BatchStrategy": "SingleRecord"}, "needs a SplitType"),
        ({"given": {"SplitType": "TFRecord"}}, "use None or Line"),
    ],
)
def test_contradictions_are_refused(ready: Cloud, options: dict[str, Any], text: str) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match=text):
        start(ready, "refused", **options)


def test_outputs_that_are_uploaded_in_part(ready: Cloud) -> None:
    ready.faults.add(Rule(FaultKind.PARTIAL_UPLOAD, "sagemaker:transform-job", "part"))
    start(ready, "part")
    assert finished(ready, "part", "Failed")["FailureReason"].startswith("InternalServerError: ")
    outputs = ready.s3.list_objects_v2(Bucket=BUCKET, Prefix="out/part/")["Contents"]
    assert [one["Key"] for one in outputs] == ["out/part/a.csv.out"]
