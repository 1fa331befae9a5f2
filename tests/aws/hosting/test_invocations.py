from __future__ import annotations

import base64
import json
import time
from collections import Counter

import botocore.exceptions
import pytest

from .rig import BUCKET, Cloud, until

STREAMING = """
import os, time


def model_fn(model_dir):
    return None


def transform_fn(model, data, content_type, accept):
    def pieces():
        for number in range(5):
            yield f"part {number};"
            time.sleep(0.15)
        if "break" in data:
            raise RuntimeError("broke off")
    return pieces(), "text/plain"
"""


@pytest.fixture(scope="module")
def served(shared_cloud: Cloud) -> Cloud:
    cloud = shared_cloud
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }
    cloud.config("c", cloud.model("a"), cloud.model("b"), weights=(3.0, 1.0), DataCaptureConfig=capture)
    cloud.sm.create_endpoint(EndpointName="e", EndpointConfigName="c")
    cloud.config("stream", cloud.model("s", STREAMING))
    cloud.endpoint("streaming", "stream")
    cloud.wait("e")
    return cloud


def test_traffic_follows_the_weights(served: Cloud) -> None:
    seen = Counter(served.ask()["variant"] for _ in range(400))
    # Five standard deviations of a binomial with p = 0.75.
    assert abs(seen["v0"] - 300) < 44, seen
    assert served.ask(TargetVariant="v1")["name"] == "b"


def test_weights_change_without_another_configuration(served: Cloud) -> None:
    wanted = [{"VariantName": "v0", "DesiredWeight": 0.0}]
    served.sm.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=wanted)
    served.wait("e")
    assert {served.ask()["variant"] for _ in range(30)} == {"v1"}
    wanted = [{"VariantName": "v0", "DesiredWeight": 3.0}]
    served.sm.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=wanted)
    served.wait("e")


def test_what_fails_in_the_model_is_a_model_error(served: Cloud) -> None:
    with pytest.raises(served.runtime.exceptions.ModelError) as caught:
        served.ask(data={"fail": True}, TargetVariant="v0")
    found = caught.value.response
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert found["OriginalStatusCode"] == 500
    assert "asked to fail" in found["OriginalMessage"]
    assert ":log-group:/aws/sagemaker/Endpoints/e:log-stream:v0/i-" in found["LogStreamArn"]
    assert 'Received server error (500) from primary with message "asked to fail' in found["Error"]["Message"]
    with pytest.raises(served.runtime.exceptions.ModelError) as caught:
        served.runtime.invoke_endpoint(EndpointName="e", ContentType="text/weird", Body=b"x")
    assert caught.value.response["OriginalStatusCode"] == 415
    assert "Received client error (415)" in caught.value.response["Error"]["Message"]


def test_what_is_no_request_is_refused(served: Cloud) -> None:
    error = botocore.exceptions.ClientError
    with pytest.raises(error, match="Endpoint nobody of account 123456789012 not found"):
        served.ask("nobody")
    with pytest.raises(error, match="Variant v9 not found"):
        served.ask(TargetVariant="v9")
    with pytest.raises(error, match="exceeded 6291456 bytes") as caught:
        served.runtime.invoke_endpoint(EndpointName="e", Body=b"x" * 6291457)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_attributes_are_passed_through(served: Cloud) -> None:
    answer = served.runtime.invoke_endpoint(
        EndpointName="e", ContentType="application/json", Body=b"{}", CustomAttributes="trace=7", TargetVariant="v1"
    )
    assert answer["CustomAttributes"] == "trace=7"
    assert answer["ContentType"] == "application/json"


def test_a_slow_model_times_out(served: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudops_sagemaker.emulator import invocation

    monkeypatch.setattr(invocation.answer, "__kwdefaults__", {**invocation.answer.__kwdefaults__, "timeout": 0.5})
    with pytest.raises(served.runtime.exceptions.ModelError, match="timed out") as caught:
        served.ask(data={"sleep": 2})
    assert caught.value.response["OriginalStatusCode"] == 0


def test_captures_are_read_seconds_later(served: Cloud) -> None:
    served.runtime.invoke_endpoint(
        EndpointName="e",
        ContentType="application/json",
        Body=b'{"x": 77}',
        TargetVariant="v0",
        InferenceId="mine",
        CustomAttributes="c",
    )

    def found() -> list[tuple[str, dict]]:
        listed = served.s3.list_objects_v2(Bucket=BUCKET, Prefix="captured/e/v0/").get("Contents", [])
        lines = []
        for one in listed:
            data = served.s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read().decode()
            lines += [(one["Key"], json.loads(line)) for line in data.splitlines()]
        return [line for line in lines if line[1]["eventMetadata"].get("inferenceId") == "mine"]

    key, line = until(found)[0]
    assert time.strftime("captured/e/v0/%Y/%m/%d/", time.gmtime()) in key
    assert key.endswith(".jsonl")
    given, answered = line["captureData"]["endpointInput"], line["captureData"]["endpointOutput"]
    expected = {
        "observedContentType": "application/json",
        "mode": "INPUT",
        "data": '{"x": 77}',
        "encoding": "JSON",
    }
    assert given == expected
    assert json.loads(answered["data"])["twice"] == 154
    assert line["eventMetadata"]["customAttributes"] == ["c"]
    assert line["eventVersion"] == "0"


def test_metrics_and_percentiles_in_cloudwatch(served: Cloud) -> None:
    started = time.time()
    for number in range(20):
        served.ask(data={"sleep": 0.2 if number >= 18 else 0.0}, TargetVariant="v1")
    with pytest.raises(served.runtime.exceptions.ModelError):
        served.ask(data={"fail": True}, TargetVariant="v1")
    dimensions = [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v1"}]
    span = {"StartTime": started - 60, "EndTime": time.time() + 60}

    def stat(name: str, *statistics: str, **more: list[str]) -> dict:
        points = served.cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=dimensions,
            Period=3600,
            **({"Statistics": list(statistics)} if statistics else {}),
            **more,
            **span,
        )["Datapoints"]
        return points[0]

    assert stat("Invocations", "Sum")["Sum"] >= 21
    assert stat("Invocation5XXErrors", "Sum")["Sum"] == 1
    latency = stat("ModelLatency", "Maximum", ExtendedStatistics=["p50", "p90"])
    assert latency["Unit"] == "Microseconds"
    assert latency["ExtendedStatistics"]["p50"] <= latency["ExtendedStatistics"]["p90"] < 200_000 < latency["Maximum"]
    queries = [
        {
            "Id": name.lower(),
            "ReturnData": False,
            "MetricStat": {
                "Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions},
                "Period": 3600,
                "Stat": "Sum",
            },
        }
        for name, metric in {"M1": "Invocation5XXErrors", "M2": "Invocations"}.items()
    ]
    queries.append({"Id": "rate", "Expression": "100*(m1/m2)"})
    found = served.cloudwatch.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
    assert [one["Id"] for one in found] == ["rate"]
    assert 0 < sum(found[0]["Values"]) < 6
    names = {one["MetricName"] for one in served.cloudwatch.list_metrics(Namespace="AWS/SageMaker")["Metrics"]}
    assert {"Invocations", "ModelLatency", "OverheadLatency"} <= names


def test_percentiles_are_exact(served: Cloud) -> None:
    values = [float(number) for number in range(1, 101)]
    served.cloudwatch.put_metric_data(Namespace="mine", MetricData=[{"MetricName": "m", "Values": values}])
    served.cloudwatch.put_metric_data(
        Namespace="mine", MetricData=[{"MetricName": "m", "Value": 101.0, "Unit": "None"}]
    )
    point = served.cloudwatch.get_metric_statistics(
        Namespace="mine",
        MetricName="m",
        Period=3600,
        StartTime=time.time() - 60,
        EndTime=time.time() + 60,
        Statistics=["Average", "SampleCount"],
        ExtendedStatistics=["p50", "p90", "p99"],
    )["Datapoints"][0]
    assert point["ExtendedStatistics"] == {"p50": 51.0, "p90": 91.0, "p99": 100.0}
    assert (point["Average"], point["SampleCount"]) == (51.0, 101.0)


def test_logs_are_in_cloudwatch(served: Cloud) -> None:
    logs = served.client("logs")
    group = "/aws/sagemaker/Endpoints/e"

    def lines() -> list[str]:
        found = logs.filter_log_events(logGroupName=group)["events"]
        return [one["message"] for one in found if one["message"].startswith("loading")]

    assert sorted(until(lines)) == ["loading the model of a", "loading the model of b"]
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert {one["logStreamName"].split("/i-")[0] for one in streams} == {"v0", "v1"}


def test_an_answer_streams_in_pieces(served: Cloud) -> None:
    answer = served.runtime.invoke_endpoint_with_response_stream(
        EndpointName="streaming", ContentType="application/json", Body=b"{}"
    )
    assert answer["InvokedProductionVariant"] == "v0"
    moments, parts = [], []
    for event in answer["Body"]:
        moments.append(time.monotonic())
        parts.append(event["PayloadPart"]["Bytes"])
    assert b"".join(parts) == b"part 0;part 1;part 2;part 3;part 4;"
    # They were passed on as they came, not at the end.
    assert moments[-1] - moments[0] > 0.4


def test_a_stream_that_breaks_off_says_so(served: Cloud) -> None:
    answer = served.runtime.invoke_endpoint_with_response_stream(
        EndpointName="streaming", ContentType="application/json", Body=b'"break"'
    )
    with pytest.raises(botocore.exceptions.EventStreamError, match="ModelStreamError"):
        list(answer["Body"])


def test_the_way_there_costs_little(served: Cloud) -> None:
    """Against the container's own time, which CloudWatch has as ModelLatency."""
    started = time.time()
    for _ in range(100):
        served.ask("e", TargetVariant="v0")
    dimensions = [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v0"}]
    point = served.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="OverheadLatency",
        Dimensions=dimensions,
        Period=3600,
        StartTime=started - 60,
        EndTime=time.time() + 60,
        ExtendedStatistics=["p50"],
    )["Datapoints"][-1]
    assert point["ExtendedStatistics"]["p50"] < 5_000


def test_captures_keep_what_is_no_text(served: Cloud) -> None:
    from cloudops_sagemaker.emulator.capture import Exchanged, _record

    config = {"CaptureOptions": [{"CaptureMode": "InputAndOutput"}]}
    record = _record(config, Exchanged(b"\x00\xff", "application/x-npy", b"1,2", "text/csv"))
    assert base64.b64decode(record["captureData"]["endpointInput"]["data"]) == b"\x00\xff"
    assert record["captureData"]["endpointOutput"]["encoding"] == "BASE64"
