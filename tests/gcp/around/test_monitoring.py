"""Cloud Monitoring: series are found by filters, aligned and reduced by hand-computed values, paged, and written."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cloudops_vertex.emulator import metric_descriptors, metric_writing, monitoring_service  # noqa: F401 - they register
from cloudops_vertex.emulator.distributions import Distribution, Explicit
from cloudops_vertex.emulator.metric_types import ENDPOINT, KNOWN, RESOURCES
from cloudops_vertex.emulator.protocol.errors import ServiceError
from cloudops_vertex.emulator.series import Point, Series
from cloudops_vertex.emulator.site import Site

from .calls import MONITORING, PROJECT, new_site, rest

T = 1_700_000_040  # a full minute
ONLINE = "aiplatform.googleapis.com/prediction/online"
COUNT, LATENCY, CPU = f"{ONLINE}/prediction_count", f"{ONLINE}/prediction_latencies", f"{ONLINE}/cpu/utilization"
TASKS = "aiplatform.googleapis.com/pipelinejob/task_completed_count"


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two endpoints, the first with two models."""
    site = new_site(tmp_path)
    for endpoint, model, factor in (("1", "a", 1), ("1", "b", 10), ("2", "c", 100)):
        resource = {"resource_container": "1", "location": "us-central1", "endpoint_id": endpoint}
        labels = {"deployed_model_id": model}
        minutes = [T + 60 * number for number in range(4)]
        counted = [Point.at(at + 60, factor * (n + 1), at) for n, at in enumerate(minutes)]
        site.series.add(PROJECT, COUNT, labels, ENDPOINT, resource, counted)
        gauges = [Point.at(at + 30, factor * (n + 1) / 100) for n, at in enumerate(minutes)]
        site.series.add(PROJECT, CPU, labels, ENDPOINT, resource, gauges)
        site.series.count(PROJECT, LATENCY, labels, ENDPOINT, resource, [5.0 * factor, 7.0 * factor], at=T + 5)
        site.series.count(PROJECT, LATENCY, labels, ENDPOINT, resource, 9.0 * factor, at=T + 50)
    return site


def listed(site: Site, filter: str, start: float = T, end: float = T + 240, **query: Any) -> Any:
    given = {"filter": filter, "interval.startTime": stamp(start), "interval.endTime": stamp(end), **query}
    return rest(site, MONITORING, "GET", f"/v3/projects/{PROJECT}/timeSeries?{urlencode(given, doseq=True)}")


def aligned(site: Site, metric: str, aligner: str, seconds: int = 120, more: str = "", **query: Any) -> Any:
    query = {name.replace("_", "."): value for name, value in query.items()}
    query |= {"aggregation.perSeriesAligner": aligner, "aggregation.alignmentPeriod": f"{seconds}s"}
    return listed(site, f'metric.type="{metric}"{more}', **query)


def values(answer: Any) -> list[list[Any]]:
    """The values of each series, newest first."""
    found = []
    for series in answer.get("timeSeries", []):
        found.append([next(iter(point["value"].values())) for point in series["points"]])
        assert [point["interval"]["endTime"] for point in series["points"]] == sorted(
            (point["interval"]["endTime"] for point in series["points"]), reverse=True
        )
    return [[int(one) if isinstance(one, str) else one for one in each] for each in found]


def test_a_series_has_all_that_a_client_looks_at(site: Site) -> None:
    answer = listed(site, f'metric.type = "{COUNT}" AND resource.labels.endpoint_id = "2"', T + 60, T + 120)
    assert answer == {
        "timeSeries": [
            {
                "metric": {"type": COUNT, "labels": {"deployed_model_id": "c"}},
                "resource": {
                    "type": ENDPOINT,
                    "labels": {"resource_container": "1", "location": "us-central1", "endpoint_id": "2"},
                },
                "metricKind": "DELTA",
                "valueType": "INT64",
                "unit": "1",
                "points": [
                    {
                        "interval": {"startTime": stamp(T + 60), "endTime": stamp(T + 120)},
                        "value": {"int64Value": "200"},
                    }
                ],
            }
        ],
        "unit": "1",
    }


@pytest.mark.parametrize(
    ("condition", "models"),
    [
        ('AND resource.labels.endpoint_id="1"', "ab"),
        ('AND resource.label.endpoint_id="1" AND metric.label.deployed_model_id != "a"', "b"),
        ('metric.labels.deployed_model_id=one_of("a", "c")', "ac"),
        ('AND NOT metric.labels.deployed_model_id=("a" OR "c")', "b"),
        ('AND (metric.labels.deployed_model_id="a" OR resource.labels.endpoint_id>1.5)', "ac"),
        ('AND resource.labels.location=starts_with("us-") AND resource.labels.endpoint_id=ends_with("2")', "c"),
        ('AND resource.labels.location=has_substring("central") -metric.labels.deployed_model_id="c"', "ab"),
        ('AND metric.labels.deployed_model_id=monitoring.regex.full_match("[bc]")', "bc"),
        (f'AND resource.type="{ENDPOINT}" AND project="{PROJECT}"', "abc"),
        ('AND metric.labels.other="x"', ""),
        ("AND metric.labels.deployed_model_id:*", "abc"),
    ],
)
def test_series_are_found_by_filters(site: Site, condition: str, models: str) -> None:
    answer = listed(site, f'metric.type="{COUNT}" {condition}')
    found = [one["metric"]["labels"]["deployed_model_id"] for one in answer.get("timeSeries", [])]
    assert "".join(found) == models


def test_points_are_those_that_end_within_the_interval(site: Site) -> None:
    of_a = f'metric.type="{COUNT}" AND metric.labels.deployed_model_id="a"'
    assert values(listed(site, of_a, T, T + 120)) == [[2, 1]]
    assert values(listed(site, of_a, T + 60, T + 121)) == [[2]]
    assert values(listed(site, of_a, T + 120, T + 120)) == [[2]]
    assert listed(site, of_a, T + 121, T + 125) == {"unit": "1"}


# Of model a: counted 1, 2, 3, 4 in the minutes that end at 60, 120, 180, 240; gauges .01 to .04 at 30, 90, 150, 210.
@pytest.mark.parametrize(
    ("metric", "aligner", "expected", "kind"),
    [
        (COUNT, "ALIGN_DELTA", [7, 3], "DELTA INT64 1"),
        (COUNT, "ALIGN_SUM", [7, 3], "DELTA INT64 1"),
        (COUNT, "ALIGN_RATE", [7 / 120, 3 / 120], "GAUGE DOUBLE 1/s"),
        (COUNT, "ALIGN_MEAN", [3.5, 1.5], "GAUGE DOUBLE 1"),
        (COUNT, "ALIGN_MIN", [3, 1], "GAUGE INT64 1"),
        (COUNT, "ALIGN_MAX", [4, 2], "GAUGE INT64 1"),
        (COUNT, "ALIGN_COUNT", [2, 2], "DELTA INT64 1"),
        (COUNT, "ALIGN_STDDEV", [0.5, 0.5], "GAUGE DOUBLE 1"),
        (CPU, "ALIGN_MEAN", [0.035, 0.015], "GAUGE DOUBLE 10^2.%"),
        (CPU, "ALIGN_NEXT_OLDER", [0.04, 0.02], "GAUGE DOUBLE 10^2.%"),
        (CPU, "ALIGN_SUM", [0.07, 0.03], "GAUGE DOUBLE 10^2.%"),
        (CPU, "ALIGN_MAX", [0.04, 0.02], "GAUGE DOUBLE 10^2.%"),
    ],
)
def test_an_aligner_makes_one_value_of_each_period(
    site: Site, metric: str, aligner: str, expected: list[float], kind: str
) -> None:
    answer = aligned(site, metric, aligner, more=' AND metric.labels.deployed_model_id="a"')
    assert values(answer) == [pytest.approx(expected)]
    series = answer["timeSeries"][0]
    assert f"{series['metricKind']} {series['valueType']} {series['unit']}" == kind
    interval = series["points"][0]["interval"]
    assert interval["endTime"] == stamp(T + 240)
    assert interval["startTime"] == stamp(T + 120 if series["metricKind"] == "DELTA" else T + 240)


def test_a_percentile_lies_within_the_width_of_a_bucket(site: Site) -> None:
    of_a = ' AND metric.labels.deployed_model_id="a"'
    for aligner, low, high in (("ALIGN_PERCENTILE_50", 6.3, 7.7), ("ALIGN_PERCENTILE_99", 8.1, 9.9)):
        found = values(aligned(site, LATENCY, aligner, 240, of_a))[0][0]
        assert low <= found <= high, aligner
    whole = values(aligned(site, LATENCY, "ALIGN_DELTA", 240, of_a))
    assert (whole, aligned(site, LATENCY, "ALIGN_DELTA", 60, of_a)["timeSeries"][0]["valueType"]) == (
        whole,
        "DISTRIBUTION",
    )
    value = listed(site, f'metric.type="{LATENCY}"{of_a}')["timeSeries"][0]["points"][0]["value"]["distributionValue"]
    assert (value["count"], value["mean"], value["sumOfSquaredDeviation"]) == ("3", 7.0, pytest.approx(8.0))
    assert sum(map(int, value["bucketCounts"])) == 3
    assert value["bucketOptions"]["exponentialBuckets"]["growthFactor"] == 1.1


def test_percentiles_of_known_buckets() -> None:
    one = Distribution.of([1, 1, 15, 15, 15, 25, 25, 25, 25, 99], Explicit((0, 10, 20, 30)))
    assert one.counts == (0, 2, 3, 4, 1)
    assert [one.percentile(share) for share in (0.1, 0.2, 0.5, 0.7, 0.9, 0.99)] == [5, 10, 20, 25, 30, 30]
    both = one + Distribution.of([1, 3], one.buckets or Explicit(()))
    assert (both.count, both.counts) == (12, (0, 4, 3, 4, 1))
    assert (both.mean, both.spread) == (pytest.approx(250 / 12), pytest.approx(7779.6667))
    assert (both - one).counts == (0, 2)
    assert (both - one).mean == pytest.approx(2)
    assert (both - one).spread == pytest.approx(2)
    with pytest.raises(ValueError, match="buckets"):
        one + Distribution.of([1], Explicit((1,)))


def test_what_accumulates_is_counted_from_point_to_point(site: Site) -> None:
    points = [
        Point.at(T + 60, 5, T),
        Point.at(T + 120, 8, T),
        Point.at(T + 180, 2, T + 130),  # it began anew
        Point.at(T + 240, 3, T + 130),
    ]
    site.series.add(PROJECT, TASKS, {}, "aiplatform.googleapis.com/PipelineJob", {"pipeline_job_id": "1"}, points)
    assert values(aligned(site, TASKS, "ALIGN_DELTA", 60)) == [[1, 2, 3, 5]]
    assert values(aligned(site, TASKS, "ALIGN_RATE", 120)) == [pytest.approx([3 / 120, 8 / 120])]


@pytest.mark.parametrize(
    ("metric", "aligner", "reducer", "expected"),
    [
        (COUNT, "ALIGN_DELTA", "REDUCE_SUM", [7 * 111, 3 * 111]),
        (COUNT, "ALIGN_DELTA", "REDUCE_MEAN", [7 * 37, 3 * 37]),
        (COUNT, "ALIGN_DELTA", "REDUCE_MIN", [7, 3]),
        (COUNT, "ALIGN_DELTA", "REDUCE_MAX", [700, 300]),
        (COUNT, "ALIGN_DELTA", "REDUCE_COUNT", [3, 3]),
        (COUNT, "ALIGN_DELTA", "REDUCE_PERCENTILE_50", [70, 30]),
        (CPU, "ALIGN_MAX", "REDUCE_STDDEV", [0.04 * 44.6990, 0.02 * 44.6990]),
    ],
)
def test_a_reducer_makes_one_series_of_all(
    site: Site, metric: str, aligner: str, reducer: str, expected: list[float]
) -> None:
    answer = aligned(site, metric, aligner, aggregation_crossSeriesReducer=reducer)
    assert values(answer) == [pytest.approx(expected, rel=1e-4)]
    series = answer["timeSeries"][0]
    assert series["resource"] == {"type": ENDPOINT}
    assert "labels" not in series["metric"]


def test_groups_keep_what_they_have_in_common(site: Site) -> None:
    answer = aligned(
        site,
        COUNT,
        "ALIGN_SUM",
        240,
        aggregation_crossSeriesReducer="REDUCE_SUM",
        aggregation_groupByFields=["resource.label.endpoint_id", "resource.labels.location"],
    )
    assert values(answer) == [[110], [1000]]
    assert [one["resource"]["labels"] for one in answer["timeSeries"]] == [
        {"endpoint_id": "1", "location": "us-central1"},
        {"endpoint_id": "2", "location": "us-central1"},
    ]
    by_model = aligned(
        site,
        LATENCY,
        "ALIGN_DELTA",
        240,
        aggregation_crossSeriesReducer="REDUCE_PERCENTILE_95",
        aggregation_groupByFields="metric.label.deployed_model_id",
    )
    assert [one["metric"]["labels"]["deployed_model_id"] for one in by_model["timeSeries"]] == ["a", "b", "c"]
    for one, factor in zip(values(by_model), (1, 10, 100), strict=True):
        assert one[0] / factor == pytest.approx(9, rel=0.1)


def test_pages_hold_points_and_go_on_within_a_series(site: Site) -> None:
    found: dict[str, list[int]] = {}
    token, pages = "", 0
    while pages == 0 or token:
        answer = listed(site, f'metric.type="{COUNT}"', pageSize=5, pageToken=token)
        pages, token = pages + 1, answer.get("nextPageToken", "")
        assert sum(map(len, values(answer))) <= 5
        for series, each in zip(answer["timeSeries"], values(answer), strict=True):
            found.setdefault(series["metric"]["labels"]["deployed_model_id"], []).extend(each)
    assert pages == 3
    assert found == {"a": [4, 3, 2, 1], "b": [40, 30, 20, 10], "c": [400, 300, 200, 100]}


def test_headers_have_no_points(site: Site) -> None:
    first = listed(site, f'metric.type="{COUNT}"', view="HEADERS", pageSize=2)
    assert [one.get("points") for one in first["timeSeries"]] == [None, None]
    second = listed(site, f'metric.type="{COUNT}"', view="HEADERS", pageSize=2, pageToken=first["nextPageToken"])
    assert len(second["timeSeries"]) == 1
    assert "nextPageToken" not in second


@pytest.mark.parametrize(
    ("metric", "aligner", "text"),
    [
        (LATENCY, "ALIGN_RATE", "kind DELTA and value type DISTRIBUTION."),
        (LATENCY, "ALIGN_MEAN", "kind DELTA and value type DISTRIBUTION."),
        (COUNT, "ALIGN_PERCENTILE_99", "kind DELTA and value type INT64."),
        (COUNT, "ALIGN_NEXT_OLDER", "kind DELTA and value type INT64."),
        (CPU, "ALIGN_DELTA", "kind GAUGE and value type DOUBLE."),
        (CPU, "ALIGN_RATE", "kind GAUGE and value type DOUBLE."),
        (TASKS, "ALIGN_SUM", "kind CUMULATIVE and value type INT64."),
        (CPU, "ALIGN_COUNT_TRUE", "kind GAUGE and value type DOUBLE."),
    ],
)
def test_an_aligner_that_does_not_fit_is_refused_in_the_words_of_the_service(
    site: Site, metric: str, aligner: str, text: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        aligned(site, metric, aligner)
    assert caught.value.message == (
        f'Field aggregation.perSeriesAligner had an invalid value of "{aligner}": '
        f"The aligner cannot be applied to metrics with {text}"
    )


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ({"filter": 'resource.type="global"'}, "INVALID_ARGUMENT", "a single metric type"),
        ({"filter": f'metric.type=starts_with("{ONLINE}")'}, "INVALID_ARGUMENT", "a single metric type"),
        ({"filter": 'metric.type="custom.googleapis.com/x"'}, "NOT_FOUND", "Cannot find metric(s) that match type = "),
        ({"filter": f'metric.type="{COUNT}" AND resource.type="global"'}, "INVALID_ARGUMENT", "valid combination"),
        ({"filter": f'metric.type="{COUNT}" AND thud="x"'}, "INVALID_ARGUMENT", "unknown field 'thud'"),
        ({"filter": "metric.type = nothing("}, "INVALID_ARGUMENT", "syntax error at line 1, column 22, token '<EOF>'"),
        ({"filter": f'metric.type="{COUNT}" AND project=like("x")'}, "INVALID_ARGUMENT", "unknown function 'like'"),
        ({"orderBy": "value"}, "INVALID_ARGUMENT", "it must be left blank"),
        ({"aggregation.perSeriesAligner": "ALIGN_SUM"}, "INVALID_ARGUMENT", "at least 60 seconds"),
        (
            {"aggregation.perSeriesAligner": "ALIGN_SUM", "aggregation.alignmentPeriod": "59s"},
            "INVALID_ARGUMENT",
            'Field aggregation.alignmentPeriod had an invalid value of "59s"',
        ),
        ({"aggregation.crossSeriesReducer": "REDUCE_SUM"}, "INVALID_ARGUMENT", "not be ALIGN_NONE"),
        (
            {"aggregation.perSeriesAligner": "ALIGN_SUM", "aggregation.alignmentPeriod": "60s"}
            | {"aggregation.groupByFields": "metric.label.x"},
            "INVALID_ARGUMENT",
            "goes with a crossSeriesReducer only",
        ),
        (
            {"aggregation.perSeriesAligner": "ALIGN_SUM", "aggregation.alignmentPeriod": "60s"}
            | {"aggregation.groupByFields": "thud", "aggregation.crossSeriesReducer": "REDUCE_SUM"},
            "INVALID_ARGUMENT",
            "Field aggregation.groupByFields",
        ),
        (
            {"aggregation.perSeriesAligner": "ALIGN_PERCENT_CHANGE", "aggregation.alignmentPeriod": "60s"},
            "UNIMPLEMENTED",
            "ALIGN_PERCENT_CHANGE is not emulated",
        ),
        ({"interval.startTime": "2030-01-01T00:00:00Z"}, "INVALID_ARGUMENT", "not be later than the end time"),
        ({"secondaryAggregation.alignmentPeriod": "60s"}, "UNIMPLEMENTED", "secondary aggregation"),
        ({"pageToken": "x"}, "INVALID_ARGUMENT", "page_token"),
    ],
)
def test_what_cannot_be_listed_is_refused(site: Site, query: Any, code: str, text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        listed(site, query.pop("filter", f'metric.type="{COUNT}"'), **query)
    assert caught.value.code == code
    assert text in caught.value.message


def test_a_filter_that_cannot_be_read_is_shown_as_the_service_shows_it(site: Site) -> None:
    with pytest.raises(ServiceError) as caught:
        listed(site, 'metric.type = starts_with("a" b)')
    assert caught.value.message == (
        'Field filter had an invalid value of "metric.type = starts_with("a" b)": Could not parse filter '
        '"metric.type = starts_with(\\"a\\" b)"; syntax error at line 1, column 30, token \'b\''
    )


def test_metrics_are_described(site: Site) -> None:
    base = f"/v3/projects/{PROJECT}/metricDescriptors"
    one = rest(site, MONITORING, "GET", f"{base}/{LATENCY}")
    assert one["name"] == f"projects/{PROJECT}/metricDescriptors/{LATENCY}"
    assert (one["metricKind"], one["valueType"], one["unit"]) == ("DELTA", "DISTRIBUTION", "ms")
    assert {"key": "latency_type"} in one["labels"]
    assert one["monitoredResourceTypes"] == [ENDPOINT]
    query = urlencode({"filter": 'metric.type = starts_with("ml.googleapis.com/training/")', "pageSize": 4})
    first = rest(site, MONITORING, "GET", f"{base}?{query}")
    second = rest(site, MONITORING, "GET", f"{base}?{query}&pageToken={first['nextPageToken']}")
    found = [one["type"] for one in (*first["metricDescriptors"], *second["metricDescriptors"])]
    assert found == sorted(name for name in KNOWN if name.startswith("ml."))
    with pytest.raises(ServiceError) as caught:
        rest(site, MONITORING, "GET", f"{base}/custom.googleapis.com/none")
    assert caught.value.code == "NOT_FOUND"


def test_the_table_of_metrics_is_of_one_piece() -> None:
    assert all(set(one.resources) <= set(RESOURCES) for one in KNOWN.values())
    assert all((one.value_type == "DISTRIBUTION") == (one.buckets is not None) for one in KNOWN.values())


def written(site: Site, point: Any, **series: Any) -> Any:
    given = {"metric": {"type": "custom.googleapis.com/loss", "labels": {"run": "1"}}, "points": [point], **series}
    return rest(site, MONITORING, "POST", f"/v3/projects/{PROJECT}/timeSeries", {"timeSeries": [given]})


def gauge(at: float, value: float = 0.5) -> Any:
    return {"interval": {"endTime": stamp(at)}, "value": {"doubleValue": value}}


def test_what_is_written_is_listed(site: Site) -> None:
    now = time.time() // 1 - 60
    assert written(site, gauge(now, 0.5)) == {}
    written(site, gauge(now + 10, 0.25))
    answer = listed(site, 'metric.type="custom.googleapis.com/loss"', now - 1, now + 20)
    assert values(answer) == [[0.25, 0.5]]
    assert answer["timeSeries"][0]["resource"] == {"type": "global", "labels": {"project_id": PROJECT}}
    path = f"/v3/projects/{PROJECT}/metricDescriptors/custom.googleapis.com/loss"
    described = rest(site, MONITORING, "GET", path)
    assert (described["metricKind"], described["valueType"]) == ("GAUGE", "DOUBLE")
    assert described["labels"] == [{"key": "run"}]
    assert rest(site, MONITORING, "DELETE", path) == {}
    with pytest.raises(ServiceError, match="Cannot find metric"):
        listed(site, 'metric.type="custom.googleapis.com/loss"')


def test_distributions_are_written_and_come_back(site: Site) -> None:
    now = time.time() // 1
    value = {
        "count": "3",
        "mean": 2.0,
        "sumOfSquaredDeviation": 2.0,
        "bucketOptions": {"explicitBuckets": {"bounds": [1.0, 2.0]}},
        "bucketCounts": ["0", "1", "2"],
    }
    point = {
        "interval": {"startTime": stamp(now - 60), "endTime": stamp(now)},
        "value": {"distributionValue": value},
    }
    written(site, point, metricKind="CUMULATIVE")
    answer = listed(site, 'metric.type="custom.googleapis.com/loss"', now - 1, now)
    assert answer["timeSeries"][0]["points"] == [point]
    value["count"] = "4"
    with pytest.raises(ServiceError, match="bucket counts"):
        written(site, {**point, "interval": {"startTime": stamp(now - 60), "endTime": stamp(now + 1)}})


@pytest.mark.parametrize(
    ("point", "series", "text"),
    [
        (gauge(100.0), {}, "more than 25 hours in the past"),
        (gauge(time.time() + 3600), {}, "more than 5 minutes in the future"),
        (gauge(time.time() - 30), {}, "Points must be written in order."),
        ({"interval": {"endTime": stamp(time.time() + 5)}, "value": {"int64Value": "1"}}, {}, "must be DOUBLE, but is"),
        (gauge(time.time() + 5), {"metricKind": "CUMULATIVE"}, "must be GAUGE, but is CUMULATIVE"),
        (gauge(time.time() + 5), {"metric": {"type": "custom.googleapis.com/d"}, "metricKind": "DELTA"}, "kind DELTA"),
        (gauge(time.time() + 5), {"metric": {"type": COUNT}}, "it must begin with one of custom.googleapis.com/"),
        (gauge(time.time() + 5), {"points": [gauge(1), gauge(2)]}, "exactly one point"),
        (
            {"interval": {"startTime": stamp(5), "endTime": stamp(time.time() + 5)}, "value": {"doubleValue": 1}},
            {},
            "must be equal to the end time",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(site: Site, point: Any, series: Any, text: str) -> None:
    written(site, gauge(time.time()))
    with pytest.raises(ServiceError) as caught:
        written(site, point, **series)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.message.startswith("One or more TimeSeries could not be written: ")
    assert text in caught.value.message


def test_what_is_counted_goes_to_the_point_of_its_minute() -> None:
    series = Series(now=lambda: T + 65.0)
    resource, labels = {"endpoint_id": "1"}, {"deployed_model_id": "a"}
    for at in (T + 1, T + 59.5, T, None, T + 119, T + 30):
        series.count("p", COUNT, labels, ENDPOINT, resource, 2, at)
    [(key, points)] = series.select("p", COUNT, lambda key: True)
    shown = [(one.start / 1e9 - T, one.end / 1e9 - T, one.value) for one in points]
    assert shown == [(0, 59.5, 8), (60, 119, 4)]
    again = Series()
    again.load(series.dump())
    assert again.select("p", COUNT, lambda key: True) == [(key, points)]
    with pytest.raises(KeyError):
        series.add("p", "nothing", {}, ENDPOINT, resource, [])


def test_a_series_keeps_its_newest_points() -> None:
    series = Series()
    points = (Point.at(float(number), number) for number in range(20_001))
    series.add("p", f"{ONLINE}/replicas", {}, ENDPOINT, {}, points)
    [(_, kept)] = series.select("p", f"{ONLINE}/replicas", lambda key: True)
    assert (len(kept), kept[-1].value) == (18_001, 20_000)
