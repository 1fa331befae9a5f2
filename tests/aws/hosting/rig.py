"""An emulated SageMaker behind HTTP, plain boto3 clients, and models to deploy."""

from __future__ import annotations

import functools
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cloudops_sagemaker.emulator import SageMakerEmulator

from cloudops.offline.clock import Clock
from cloudops.offline.emulator import Surroundings
from cloudops.offline.faults import Faults

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/cloudops-sagemaker"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
BUCKET = "models"

#: Answers what it is told to in its variables, and counts.
SCRIPT = """
import json, os, time

NAME = os.environ.get("NAME", "a")


def model_fn(model_dir):
    if os.environ.get("BROKEN"):
        raise RuntimeError("no such model")
    print("loading the model of", NAME, flush=True)
    return json.load(open(os.path.join(model_dir, "weights.json")))


def input_fn(body, content_type):
    if content_type != "application/json":
        raise BadRequest(f"cannot read {content_type}")
    return json.loads(body)


class BadRequest(Exception):
    status_code = 415
    message = "unsupported media type"


def predict_fn(data, model):
    time.sleep(data.get("sleep", 0))
    if data.get("fail") or os.environ.get("FAILING"):
        raise ValueError("asked to fail")
    return {"name": NAME, "twice": data.get("x", 0) * model["factor"], "pid": os.getpid()}


def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


class Cloud:
    def __init__(
        self,
        folder: Path,
        *,
        keep: bool = False,
        fresh: bool = True,
        literal: bool | None = None,
        images: Mapping[str, str] | None = None,
    ) -> None:
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_request(self, *_: Any) -> None:
                pass

        self.clock, self.faults = Clock(), Faults()
        around = Surroundings(folder / "emulator", self.clock, self.faults, {}, images or {}, keep)
        self.emulator = SageMakerEmulator(around, literal=literal)
        self._server = make_server("127.0.0.1", 0, self.emulator.application, threaded=True, request_handler=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.s3 = self.client("s3")
        if fresh:
            self.s3.create_bucket(Bucket=BUCKET)
        self.sm = self.client("sagemaker")
        self.runtime = self.client("sagemaker-runtime")
        self.cloudwatch = self.client("cloudwatch")

    @functools.cache  # noqa: B019 - as many as there are tests
    def client(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="AKIAOFFLINECLOUDOPS0",
            aws_secret_access_key="offline",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50, s3={"addressing_style": "path"}),
        )

    def close(self) -> None:
        self.emulator.close()
        self._server.shutdown()
        self._server.server_close()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def artifact(self, name: str = "m", script: str = SCRIPT, files: Mapping[str, str] | None = None) -> str:
        """A model.tar.gz in S3."""
        buffer = io.BytesIO()
        files = {"weights.json": '{"factor": 2}', "code/inference.py": script, **(files or {})}
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for path, text in files.items():
                info = tarfile.TarInfo(path)
                info.size, info.mode = len(text.encode()), 0o755 if path.endswith("serve") else 0o644
                tar.addfile(info, io.BytesIO(text.encode()))
        self.s3.put_object(Bucket=BUCKET, Key=f"{name}/model.tar.gz", Body=buffer.getvalue())
        return f"s3://{BUCKET}/{name}/model.tar.gz"

    def model(self, name: str, script: str = SCRIPT, image: str = IMAGE, **env: str) -> str:
        container = {"Image": image, "ModelDataUrl": self.artifact(name, script), "Environment": {"NAME": name, **env}}
        self.sm.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        return name

    def config(self, name: str, *models: str, count: int = 1, weights: tuple[float, ...] = (), **options: Any) -> str:
        """One variant for each model, named ``v0``, ``v1``, ..."""
        variants = [
            {
                "VariantName": f"v{number}",
                "ModelName": model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": count,
                "InitialVariantWeight": weights[number] if weights else 1.0,
                **options.get("variant", {}),
            }
            for number, model in enumerate(models)
        ]
        rest = {key: value for key, value in options.items() if key != "variant"}
        self.sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants, **rest)
        return name

    def endpoint(self, name: str = "e", config: str = "c", **options: Any) -> str:
        """An endpoint in service."""
        self.sm.create_endpoint(EndpointName=name, EndpointConfigName=config, **options)
        self.wait(name)
        return name

    def wait(self, name: str, status: str = "InService", timeout: float = 60) -> dict[str, Any]:
        """Its description once it has that status."""
        return until(
            lambda: self._described(name, status), timeout, lambda: self.sm.describe_endpoint(EndpointName=name)
        )

    def _described(self, name: str, status: str) -> dict[str, Any] | None:
        found = self.sm.describe_endpoint(EndpointName=name)
        assert status == "Failed" or found["EndpointStatus"] != "Failed", found
        return found if found["EndpointStatus"] == status else None

    def ask(self, name: str = "e", data: Any = None, **options: Any) -> dict[str, Any]:
        answer = self.runtime.invoke_endpoint(
            EndpointName=name, ContentType="application/json", Body=json.dumps(data or {"x": 3}), **options
        )
        return {**json.loads(answer["Body"].read()), "variant": answer["InvokedProductionVariant"]}


def until(look: Callable[[], Any], timeout: float = 30, told: Callable[[], Any] = lambda: "") -> Any:
    """What ``look`` returns once it is true."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)
    return found


class Load:
    """Requests from several threads until it is ended; what they were answered, and what went wrong."""

    def __init__(self, cloud: Cloud, name: str = "e", threads: int = 4, data: Any = None) -> None:
        self.cloud, self.name, self.data = cloud, name, data
        self.answers: list[dict[str, Any]] = []
        self.errors: list[Exception] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                self.answers.append(self.cloud.ask(self.name, self.data))
            except Exception as error:
                self.errors.append(error)
            time.sleep(0.002)
