"""An unmodified boto3 script: train, read the log, serve, ask, delete. It does not know that the cloud is emulated."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import time
from pathlib import Path

import boto3

code, role, training_image, inference_image = Path(sys.argv[1]), *sys.argv[2:5]
region = boto3.session.Session().region_name
account = boto3.client("sts").get_caller_identity()["Account"]
s3, sagemaker, logs = boto3.client("s3"), boto3.client("sagemaker"), boto3.client("logs")
bucket = f"boto3-{region}-{account}"
s3.create_bucket(Bucket=bucket)
s3.upload_file(str(code / "train.py"), bucket, "code/train.py")
s3.put_object(Bucket=bucket, Key="train/a.csv", Body=b"1,12\n2,14\n")
s3.put_object(Bucket=bucket, Key="train/b.csv", Body=b"3,16\n")


def channel(name: str, key: str) -> dict:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{key}", "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


sagemaker.create_training_job(
    TrainingJobName="boto3-job",
    RoleArn=role,
    AlgorithmSpecification={
        "TrainingImage": training_image,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/train.py"],
        "ContainerArguments": ["--slope", "2"],
        "MetricDefinitions": [{"Name": "offset", "Regex": r"offset=([0-9.eE+-]+)"}],
    },
    InputDataConfig=[channel("code", "code/"), channel("train", "train/")],
    OutputDataConfig={"S3OutputPath": f"s3://{bucket}/out"},
    ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    StoppingCondition={"MaxRuntimeInSeconds": 600},
)
sagemaker.get_waiter("training_job_completed_or_stopped").wait(
    TrainingJobName="boto3-job", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
)
job = sagemaker.describe_training_job(TrainingJobName="boto3-job")
assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"], steps
assert {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]} == {"offset": 10.0}

group = "/aws/sagemaker/TrainingJobs"
[stream] = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="boto3-job/")["logStreams"]
events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
assert "rows=3 offset=10.0" in [event["message"] for event in events], events

artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
trained = io.BytesIO(s3.get_object(Bucket=bucket, Key=artifact.split("/", 3)[3])["Body"].read())
served = io.BytesIO()
with tarfile.open(fileobj=trained) as source, tarfile.open(fileobj=served, mode="w:gz") as target:
    for member in source:
        target.addfile(member, source.extractfile(member) if member.isfile() else None)
    target.add(code / "inference.py", "code/inference.py")
s3.put_object(Bucket=bucket, Key="served/model.tar.gz", Body=served.getvalue())

sagemaker.create_model(
    ModelName="boto3-model",
    ExecutionRoleArn=role,
    PrimaryContainer={
        "Image": inference_image,
        "ModelDataUrl": f"s3://{bucket}/served/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
    },
)
sagemaker.create_endpoint_config(
    EndpointConfigName="boto3-config",
    ProductionVariants=[
        {
            "VariantName": "main",
            "ModelName": "boto3-model",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1,
        }
    ],
)
sagemaker.create_endpoint(EndpointName="boto3-endpoint", EndpointConfigName="boto3-config")
sagemaker.get_waiter("endpoint_in_service").wait(
    EndpointName="boto3-endpoint", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
)
runtime = boto3.client("sagemaker-runtime")
answer = runtime.invoke_endpoint(EndpointName="boto3-endpoint", ContentType="text/csv", Body=b"1\n5\n")
assert json.loads(answer["Body"].read()) == [12.0, 20.0]
assert answer["InvokedProductionVariant"] == "main"
refused = {}
try:
    runtime.invoke_endpoint(EndpointName="boto3-endpoint", ContentType="text/plain", Body=b"1")
except runtime.exceptions.ModelError as error:
    refused = error.response
assert refused["OriginalStatusCode"] >= 400, refused

sagemaker.delete_endpoint(EndpointName="boto3-endpoint")
deadline = time.monotonic() + 60
while True:
    try:
        sagemaker.describe_endpoint(EndpointName="boto3-endpoint")
    except sagemaker.exceptions.ClientError as error:
        if "Could not find endpoint" not in str(error):
            raise
        break
    assert time.monotonic() < deadline, "the endpoint is still there"
    time.sleep(0.2)
sagemaker.delete_endpoint_config(EndpointConfigName="boto3-config")
sagemaker.delete_model(ModelName="boto3-model")
print("boto3: all done")
