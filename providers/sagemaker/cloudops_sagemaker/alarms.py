"""The alarm that undoes a canary: the share of requests to an endpoint that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .names import MAIN

if TYPE_CHECKING:
    from .client import Client

_DEFAULT = 0.05
#: Seconds of one period of the metrics.
_PERIOD = 60


def name(endpoint: str) -> str:
    """The alarm of an endpoint."""
    return f"cloudops-{endpoint}-errors"


def put(client: Client, endpoint: str, project: str, canary: float, rate: float | None) -> None:
    """Have the alarm exist.

    Args:
        client: of the account.
        endpoint: whose.
        project: for its tag.
        canary: the share of the traffic that the new version gets: with a small one, its errors are few of all.
        rate: the share of failed requests above which it fires; 5 % by default, and never more than half the canary.
    """
    client.service("cloudwatch").put_metric_alarm(
        AlarmName=name(endpoint),
        AlarmDescription=f"cloudops: undoes a canary of the endpoint {endpoint} whose requests fail",
        Metrics=[
            _query("errors", "Invocation5XXErrors", endpoint),
            _query("requests", "Invocations", endpoint),
            {"Id": "rate", "Expression": "errors / requests", "Label": "error rate", "ReturnData": True},
        ],
        ComparisonOperator="GreaterThanThreshold",
        Threshold=threshold(canary, rate),
        EvaluationPeriods=1,
        TreatMissingData="notBreaching",
        Tags=[{"Key": "cloudops:project", "Value": project}],
    )


def threshold(canary: float, rate: float | None) -> float:
    """The share of all requests above which the alarm fires."""
    return min(_DEFAULT if rate is None else rate, canary / 2)


def delete(client: Client, endpoint: str) -> None:
    """Delete the alarm; silent where there is none."""
    client.service("cloudwatch").delete_alarms(AlarmNames=[name(endpoint)])


def _query(id: str, metric: str, endpoint: str) -> dict[str, Any]:
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": MAIN}]
    stat = {
        "Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions},
        "Period": _PERIOD,
        "Stat": "Sum",
    }
    return {"Id": id, "MetricStat": stat, "ReturnData": False}
