"""What holds whatever is in the stores: pages leave nothing out, logic is logic, nothing is counted twice."""

from __future__ import annotations

import threading
from typing import Any

from cloudops_vertex.emulator.aligning import align, increments
from cloudops_vertex.emulator.distributions import Distribution, Exponential, bounds
from cloudops_vertex.emulator.entries import SEVERITIES, Entries, Entry, Origin
from cloudops_vertex.emulator.log_filter import LogFilter
from cloudops_vertex.emulator.metric_types import CUMULATIVE, KNOWN, MetricType
from cloudops_vertex.emulator.protocol import pool
from cloudops_vertex.emulator.series import Point, Series
from hypothesis import given
from hypothesis import strategies as st

COUNT = KNOWN["aiplatform.googleapis.com/prediction/online/prediction_count"]
TASKS = MetricType("custom.googleapis.com/tasks", CUMULATIVE, "INT64")
SECOND = 10**9


@given(
    lines=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 8)), max_size=40),
    size=st.integers(1, 7),
    newest_first=st.booleans(),
)
def test_pages_hold_every_entry_once_and_in_order(lines: Any, size: int, newest_first: bool) -> None:
    entries = Entries()
    for number, (origin, at) in enumerate(lines):
        entries.add("p", "log", "global", {"from": origin}, [(float(at), "INFO", str(number))])
    found: list[Entry] = []
    more, after = True, None
    while more:
        page, more = entries.page(["p"], wanted=lambda entry: True, newest_first=newest_first, after=after, size=size)
        assert len(page) == size if more else len(page) <= size
        found += page
        after = page[-1].position if page else None
    expected = sorted(range(len(lines)), key=lambda number: (lines[number][1], number), reverse=newest_first)
    assert [int(one.text or "") for one in found] == expected


LEAVES = {
    "severity>=ERROR": lambda entry: entry.severity >= 500,
    'textPayload:"a"': lambda entry: "a" in (entry.text or ""),
    "labels.k=v": lambda entry: entry.labels.get("k") == "v",
    "resource.type=global": lambda entry: entry.origin.resource_type == "global",
}


@st.composite
def conditions(draw: st.DrawFn, depth: int = 3) -> tuple[str, Any]:
    kind = draw(st.sampled_from(["leaf", "and", "or", "not"])) if depth else "leaf"
    if kind == "leaf":
        text = draw(st.sampled_from(sorted(LEAVES)))
        return text, LEAVES[text]
    if kind == "not":
        text, test = draw(conditions(depth=depth - 1))
        return draw(st.sampled_from(["NOT", "-"])).replace("NOT", "NOT ") + f"({text})", lambda entry: not test(entry)
    parts = draw(st.lists(conditions(depth=depth - 1), min_size=2, max_size=3))
    joint = draw(st.sampled_from([" AND ", " ", "\n"])) if kind == "and" else " OR "
    join: Any = all if kind == "and" else any
    return joint.join(f"({text})" for text, _ in parts), lambda entry: join(test(entry) for _, test in parts)


@given(
    condition=conditions(),
    severity=st.sampled_from(sorted(SEVERITIES)),
    text=st.sampled_from(["", "a", "b"]),
    labels=st.sampled_from([{}, {"k": "v"}, {"k": "w"}]),
    kind=st.sampled_from(["global", "ml_job"]),
)
def test_conditions_are_joined_as_in_logic(condition: Any, severity: str, text: str, labels: Any, kind: str) -> None:
    written, test = condition
    entry = Entry(Origin("p", "l", kind, ()), 0, "id", SEVERITIES[severity], text, None, labels, 0)
    wanted = LogFilter(written)
    assert wanted.matches(entry) == test(entry)
    assert wanted.may_match(entry.origin) or not wanted.matches(entry)


@given(
    ends=st.lists(st.integers(1, 2000), unique=True, max_size=30),
    amounts=st.lists(st.integers(0, 9), min_size=30, max_size=30),
    start=st.integers(0, 2000),
    periods=st.integers(1, 12),
)
def test_every_point_is_counted_in_one_period(ends: list[int], amounts: list[int], start: int, periods: int) -> None:
    points = [Point.at(float(end), amount, end - 1.0) for end, amount in zip(sorted(ends), amounts, strict=False)]
    begin, end = start * SECOND, (start + 60 * periods) * SECOND
    found = align(points, COUNT, "ALIGN_SUM", period=60 * SECOND, start=begin, end=end)
    total = sum(int(str(one.value)) for one in found)
    assert total == sum(int(str(one.value)) for one in points if begin < one.end <= end)
    assert [one.end for one in found] == sorted({one.end for one in found})
    assert all((end - one.end) % (60 * SECOND) == 0 and one.end - one.start == 60 * SECOND for one in found)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=20))
def test_what_accumulates_is_the_sum_of_what_was_added(steps: list[tuple[int, bool]]) -> None:
    points, value, begun = [], 0, 0
    for number, (amount, anew) in enumerate(steps, 1):
        value, begun = (0, number * 10 - 5) if anew else (value, begun)
        value += amount
        points.append(Point(begun, number * 10, value))
    assert [one.value for one in increments(points)] == [amount for amount, _ in steps]
    assert align(points, TASKS, "ALIGN_DELTA", period=10, start=0, end=10 * len(steps)) == [
        Point(number * 10, number * 10 + 10, amount) for number, (amount, _) in enumerate(steps)
    ]


@given(
    first=st.lists(st.floats(0, 1e4), min_size=1, max_size=20),
    second=st.lists(st.floats(0, 1e4), min_size=1, max_size=20),
    share=st.floats(0.01, 0.99),
)
def test_distributions_add_up_and_tell_percentiles(first: list[float], second: list[float], share: float) -> None:
    buckets = Exponential(60, 1.3, 0.01)
    one, other = Distribution.of(first, buckets), Distribution.of(second, buckets)
    both, whole = one + other, Distribution.of([*first, *second], buckets)
    assert (both.count, both.counts) == (whole.count, whole.counts)
    assert abs(both.mean - whole.mean) <= 1e-6 * max(1, whole.mean)
    assert abs(both.spread - whole.spread) <= 1e-6 * max(1, whole.spread)
    assert (both - other).counts == one.counts
    found = both.percentile(share)
    ordered = sorted([*first, *second])
    exact = ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    below = ordered[max(0, int(share * len(ordered)) - 1)]
    assert found is not None
    low = max([0.0, *(edge for edge in bounds(buckets) if edge <= below)])
    high = min([edge for edge in bounds(buckets) if edge > exact] or [bounds(buckets)[-1]])
    assert low <= found <= high * (1 + 1e-9)


def test_many_may_write_and_read_at_once() -> None:
    entries, series = Entries(limit=400_000), Series()
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(300):
                entries.add("p", name, "global", {}, [(float(number), "INFO", "x" * 200)])
                entries.page(["p"], wanted=lambda entry: True, size=10, newest_first=True)
                series.count("p", COUNT.type, {"deployed_model_id": "a"}, "t", {}, 1, at=float(number % 90))
                series.select("p", COUNT.type, lambda key: True)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    [(_, points)] = series.select("p", COUNT.type, lambda key: True)
    assert sum(int(str(one.value)) for one in points) == 1200


def test_a_host_says_which_api_it_is() -> None:
    expected = {
        "us-central1-aiplatform.googleapis.com": "google.cloud.aiplatform",
        "aiplatform.googleapis.com": "google.cloud.aiplatform",
        "7.us-central1-1.prediction.aiplatform.googleapis.com": "google.cloud.aiplatform",
        "logging.googleapis.com": "google.logging.v2",
        "monitoring.googleapis.com": "google.monitoring.v3",
        "cloudresourcemanager.googleapis.com": "google.cloud.resourcemanager.v3",
        "storage.googleapis.com": None,
        "notaiplatform.googleapis.com": None,
    }
    assert {host: pool.package_of(host) for host in expected} == expected
    assert set(expected.values()) - {None} == set(pool.PACKAGES)
