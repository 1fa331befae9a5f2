"""The windows of questions to CloudWatch: one period each, and never one that gets no answer."""

from __future__ import annotations

import time

import boto3
import pytest
from cloudops_sagemaker.windows import window

from cloudops.offline import OfflineCloud

DAY = 86400.0


@pytest.mark.parametrize(
    ("age", "finest"),
    [(600, 60), (14.9 * DAY, 60), (15 * DAY - 1, 300), (20 * DAY, 300), (63 * DAY - 1, 3600), (100 * DAY, 3600)],
)
@pytest.mark.parametrize("length", [0.0, 59.0, 3601.0])
def test_a_window_is_one_period_that_is_kept_that_long(age: float, finest: int, length: float) -> None:
    since = time.time() - age
    found = window(since, since + length)
    assert found.period % finest == 0
    assert found.start.timestamp() % finest == 0
    assert (found.end - found.start).total_seconds() == found.period >= finest
    assert found.start.timestamp() <= since
    assert found.end.timestamp() >= since + length


def test_the_service_has_no_data_for_finer_ones(cloudops_offline_session: OfflineCloud) -> None:
    client = boto3.client("cloudwatch", region_name="us-east-1")
    now = time.time()
    client.put_metric_data(Namespace="Windows", MetricData=[{"MetricName": "m", "Value": 3.0}])

    def asked(days: float, period: int) -> list[float]:
        metric = {"Namespace": "Windows", "MetricName": "m"}
        query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}}
        answer = client.get_metric_data(MetricDataQueries=[query], StartTime=now - days * DAY, EndTime=now + 60)
        return list(answer["MetricDataResults"][0]["Values"])

    assert sum(asked(14, 60)) == sum(asked(16, 300)) == sum(asked(64, 3600)) == 3.0
    assert asked(16, 60) == asked(16, 1728060) == asked(64, 300) == []
    old = window(now - 20 * DAY, now + 1)
    assert sum(asked((now - old.start.timestamp()) / DAY, old.period)) == 3.0
