"""The emulator behind a server on 127.0.0.1, and plain boto3 clients in front of it."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from contextlib import suppress

from cloudops_sagemaker.emulator import SageMakerEmulator

from cloudops.offline.clock import Clock
from cloudops.offline.emulator import Surroundings
from cloudops.offline.faults import Faults

ROLE = "arn:aws:iam::123456789012:role/cloudops-sagemaker"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
GROUP = "/aws/sagemaker/TrainingJobs"


class Rig:
    """An emulator that may be used by many tests: each has a bucket and names of its own."""

    def __init__(self, folder, *, literal=None, fresh=True, **surroundings):
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.clock, self.faults = Clock(), Faults()
        self.surroundings = Surroundings(folder, self.clock, self.faults, {"ALL_OVER": "net"}, **surroundings)
        self.emulator = SageMakerEmulator(self.surroundings, literal=literal)
        self.server = make_server("127.0.0.1", 0, self.emulator.application, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._clients = {}
        self._numbers = itertools.count(1)
        self.s3 = self.client("s3")
        self.sm = self.client("sagemaker")
        self.logs = self.client("logs")
        if fresh:
            self.s3.create_bucket(Bucket="data")

    def client(self, service, region="us-east-1", key="AKIACALLER"):
        import boto3
        from botocore.config import Config

        config = Config(retries={"max_attempts": 1, "mode": "standard"}, s3={"addressing_style": "path"})
        session = boto3.session.Session(aws_access_key_id=key, aws_secret_access_key="y", region_name=region)
        return session.client(service, endpoint_url=self.url, config=config)

    def close(self):
        self.emulator.close()
        self.server.shutdown()
        self.server.server_close()

    def name(self):
        return f"job-{next(self._numbers)}"

    def put(self, key, body="", bucket="data"):
        self.s3.put_object(Bucket=bucket, Key=key, Body=body if isinstance(body, bytes) else body.encode())
        return f"s3://{bucket}/{key}"

    def text(self, key):
        return self.s3.get_object(Bucket="data", Key=key)["Body"].read()

    def keys(self, prefix=""):
        found = self.s3.list_objects_v2(Bucket="data", Prefix=prefix)
        return [one["Key"] for one in found.get("Contents", [])]

    def request(self, program="true", name=None, channels=(), **changes):
        """A request whose job runs a shell program; ``changes`` replace members, two are merged."""
        name = name or self.name()
        self.put(f"{name}/code/run.sh", program)
        specification = {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/bash", "/opt/ml/input/data/code/run.sh"],
            **changes.pop("Algorithm", {}),
        }
        resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
        return {
            "TrainingJobName": name,
            "RoleArn": ROLE,
            "AlgorithmSpecification": specification,
            "InputDataConfig": [channel("code", f"s3://data/{name}/code/"), *channels],
            "OutputDataConfig": {"S3OutputPath": f"s3://data/{name}/out"},
            "ResourceConfig": {**resources, **changes.pop("Resource", {})},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            **changes,
        }

    def submit(self, program="true", **changes):
        request = self.request(program, **changes)
        self.sm.create_training_job(**request)
        return request["TrainingJobName"]

    def run(self, program="true", **changes):
        """Run a job to its end and return its description."""
        return self.finish(self.submit(program, **changes))

    def describe(self, name):
        return self.sm.describe_training_job(TrainingJobName=name)

    def finish(self, name):
        return self.until(name, lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"))

    def until(self, name, wanted, timeout=60):
        """The description of a job once it is as ``wanted``."""
        deadline = time.monotonic() + timeout
        while not wanted(job := self.describe(name)):
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        return job

    def log(self, name, host=1):
        """What a host of a job has said, without what the offline cloud says itself."""
        return [line for line in self.raw_log(name, host) if not line.startswith("[offline]")]

    def raw_log(self, name, host=1):
        found = self.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/algo-{host}-")
        lines = []
        for stream in found["logStreams"]:
            lines += [event["message"] for event in self.events(stream["logStreamName"])]
        return lines

    def events(self, stream):
        token = {}
        while True:
            page = self.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token)
            yield from page["events"]
            if token.get("nextToken") == page["nextForwardToken"]:
                return
            token = {"nextToken": page["nextForwardToken"]}

    def wait_for_log(self, name, text, host=1):
        """Wait until a job has said something."""
        deadline = time.monotonic() + 60
        while True:
            with suppress(self.logs.exceptions.ResourceNotFoundException):
                if any(text in line for line in self.log(name, host)):
                    return
            assert time.monotonic() < deadline, self.describe(name)
            time.sleep(0.05)

    def refused(self, operation, **params):
        """Code and message of the error that an operation of SageMaker's is answered with."""
        return refusal(getattr(self.sm, operation), **params)


def refusal(function, **params):
    from botocore.exceptions import ClientError

    try:
        function(**params)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("it was not refused")


def channel(name, uri, **source):
    members = {key: source.pop(key) for key in ("InputMode", "CompressionType") if key in source}
    s3 = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated", **source}
    return {"ChannelName": name, "DataSource": {"S3DataSource": s3}, **members}
