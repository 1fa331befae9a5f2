from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import botocore.exceptions
import pytest
from cloudops_sagemaker.emulator.alarms import Board
from cloudops_sagemaker.emulator.cloudwatch_store import Store, Values, key
from cloudops_sagemaker.emulator.metric_math import MathError, evaluate

from .rig import Cloud


class Backend:
    """As much of moto's CloudWatch as a board looks at."""

    def __init__(self, **alarm: Any) -> None:
        self._cloudops_store = Store()
        given = {
            "name": "a",
            "namespace": "n",
            "metric_name": "m",
            "dimensions": [],
            "statistic": "Sum",
            "extended_statistic": None,
            "metric_data_queries": [],
            "period": 60,
            "evaluation_periods": 3,
            "datapoints_to_alarm": None,
            "threshold": 10.0,
            "comparison_operator": "GreaterThanThreshold",
            "treat_missing_data": None,
            "state_value": "INSUFFICIENT_DATA",
        }
        self.alarm = SimpleNamespace(**{**given, **alarm})
        self.alarm.update_state = lambda _reason, _data, state: setattr(self.alarm, "state_value", state)
        self.alarms = {"a": self.alarm}
        self.board = Board(self)

    def add(self, moment: float, value: float) -> None:
        """A value at an offline second; the machine's clock says something else."""
        self._cloudops_store.add(key("n", "m"), 1.0, moment, {value: 1})

    def state(self, now: float) -> str:
        self.board.catch_up(now)
        return str(self.alarm.state_value)


def test_all_periods_have_to_breach() -> None:
    backend = Backend()
    backend.board.catch_up(1000)
    for moment in (1010, 1070):
        backend.add(moment, 20)
    assert backend.state(1120) == "OK"
    backend.add(1130, 20)
    assert backend.state(1180) == "ALARM"
    assert backend.state(1400) == "INSUFFICIENT_DATA"


def test_some_of_the_periods_may_be_enough() -> None:
    backend = Backend(datapoints_to_alarm=2)
    backend.board.catch_up(1000)
    for moment, value in ((1010, 20), (1070, 1), (1130, 20)):
        backend.add(moment, value)
    assert backend.state(1180) == "ALARM"


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM"), ("ignore", "OK")],
)
def test_missing_data(treatment: str, expected: str) -> None:
    backend = Backend(treat_missing_data=treatment, state_value="OK")
    assert backend.state(1000) == expected


def test_what_was_passed_over_is_known() -> None:
    backend = Backend(evaluation_periods=1, treat_missing_data="notBreaching")
    backend.board.catch_up(1000)
    backend.add(1005, 20)
    assert backend.state(5000) == "OK"
    assert backend.board.fired(["a"], 1000, 5000) == ["a"]
    assert backend.board.fired(["a"], 2000, 5000) == []
    assert backend.board.fired(["a"], 0, 1001) == []


def test_percentiles_are_linear_between_values() -> None:
    values = Values()
    values.counts.update({1.0: 1, 2.0: 1, 3.0: 1, 4.0: 1})
    assert values.statistic("p50") == 2.5
    assert values.statistic("p99") == pytest.approx(3.97)
    assert values.statistic("p100") == 4.0
    values.sums.append({"Sum": 3.0, "SampleCount": 2.0, "Minimum": 1.0, "Maximum": 2.0})
    assert values.statistic("p50") is None  # nobody knows the values behind a sum
    assert values.statistic("Average") == pytest.approx(13 / 6)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("100*(m1/m2)", {0.0: 50.0, 60.0: 0.0}),
        ("IF(m2 > 3, m1, 0)", {0.0: 2.0, 60.0: 0.0, 120.0: 0.0}),
        ("FILL(m1, 7)", {0.0: 2.0, 60.0: 0.0, 120.0: 7.0}),
        ("SUM([m1, m2])", {0.0: 6.0, 60.0: 2.0, 120.0: 0.0}),
        ("MAX(m2)", {0.0: 4.0, 60.0: 4.0, 120.0: 4.0}),
        ("m1 > 1 && m2 > 1", {0.0: 1.0, 60.0: 0.0}),
        ("-m1 + 2 ** 3", {0.0: 6.0, 60.0: 8.0}),
        ("m1 / 0", {}),
    ],
)
def test_metric_math(expression: str, expected: dict[float, float]) -> None:
    known = {"m1": {0.0: 2.0, 60.0: 0.0}, "m2": {0.0: 4.0, 60.0: 2.0, 120.0: 0.0}}
    assert evaluate(expression, known) == expected


@pytest.mark.parametrize("expression", ["m9", "__import__('os')", "m1.x", "m1 +", "[m1, m2]", "ANOMALY(m1)"])
def test_what_metric_math_does_not_know(expression: str) -> None:
    with pytest.raises(MathError):
        evaluate(expression, {"m1": {0.0: 1.0}, "m2": {0.0: 1.0}})


def test_alarms_through_the_api(cloud: Cloud) -> None:
    watch = cloud.cloudwatch
    alarm = {
        "AlarmName": "slow",
        "Namespace": "mine",
        "MetricName": "m",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 10,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    watch.put_metric_alarm(**alarm, ExtendedStatistic="p90")

    def state() -> str:
        return str(watch.describe_alarms(AlarmNames=["slow"])["MetricAlarms"][0]["StateValue"])

    assert state() == "INSUFFICIENT_DATA"
    watch.put_metric_data(Namespace="mine", MetricData=[{"MetricName": "m", "Values": [1, 2, 30, 40]}])
    cloud.advance(2)
    assert state() == "ALARM"
    cloud.advance(300)
    assert state() == "INSUFFICIENT_DATA"
    error = botocore.exceptions.ClientError
    with pytest.raises(error, match="tm99 for parameter Stat"):
        watch.put_metric_alarm(**{**alarm, "AlarmName": "x"}, ExtendedStatistic="ptm99")
    with pytest.raises(error, match="not emulated"):
        watch.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(slow)")
