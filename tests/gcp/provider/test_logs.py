"""Entries of Cloud Logging as lines: whole, at their end, and while they come, in whatever order."""

from __future__ import annotations

import pytest
from cloudops_vertex.container.boot import END
from cloudops_vertex.logs import Logs, source

from .google import FakeClient, Google

JOB = "projects/1/locations/us-central1/customJobs/77"


@pytest.fixture
def google() -> Google:
    return Google()


def logs(google: Google) -> Logs:
    return Logs(FakeClient(google))


def test_all_lines_in_order_of_time(google: Google) -> None:
    google.said(JOB, "second", "workerpool1-1", second=2)
    google.said(JOB, "first\n", second=1)
    google.said(JOB, "Job is preparing.", "service", second=0)
    google.said("projects/1/locations/us-central1/customJobs/78", "of another", second=1)
    google.said(JOB, f"third{END}", second=3)
    google.said(JOB, END, "workerpool1-1", second=4)
    found = list(logs(google).read("77"))
    assert [(line.text, line.source) for line in found] == [
        ("first", "rank-0"),
        ("second", "rank-2"),
        ("third", "rank-0"),
    ]
    assert found[0].time == found[1].time - 1


@pytest.mark.parametrize(("count", "expected"), [(0, []), (2, ["3", "4"]), (9, ["0", "1", "2", "3", "4"])])
def test_the_end_of_a_log(count: int, expected: list[str], google: Google) -> None:
    for number in range(5):
        google.said(JOB, str(number), second=number)
    google.said(JOB, END, second=9)
    assert [line.text for line in logs(google).tail("77", count)] == expected


def test_following_gives_what_comes_late_once(google: Google) -> None:
    client = FakeClient(google)
    google.said(JOB, "a", second=5)
    given: list[str] = []
    steps = [lambda: google.said(JOB, "c", second=7), lambda: google.said(JOB, "b", "workerpool1-0", second=6)]

    def over() -> bool:
        if steps:
            steps.pop(0)()
            return False
        google.said(JOB, END, second=8)
        google.said(JOB, END, "workerpool1-0", second=8)
        return True

    for line in Logs(client).follow("77", over, nodes=2):
        given.append(line.text)
    assert given == ["a", "c", "b"]


def test_following_with_a_tail(google: Google) -> None:
    for number in range(4):
        google.said(JOB, str(number), second=number)
    google.said(JOB, END, second=9)
    assert [line.text for line in Logs(FakeClient(google)).follow("77", lambda: True, 1, tail=2)] == ["2", "3"]
    assert [line.text for line in Logs(FakeClient(google)).follow("77", lambda: True, 1, tail=0)] == []


def test_following_a_deleted_job_ends_at_once(google: Google) -> None:
    google.said(JOB, "a")
    given = []
    for line in Logs(FakeClient(google)).follow("77", lambda: None, nodes=1):
        given.append(line.text)
        google.said(JOB, "told to end", second=1)
    assert given == ["a"]


@pytest.mark.parametrize(
    ("replica", "name"),
    [("workerpool0-0", "rank-0"), ("workerpool1-0", "rank-1"), ("workerpool1-9", "rank-10"), ("service", ""), ("", "")],
)
def test_replicas_are_ranks(replica: str, name: str) -> None:
    assert source({"resource": {"labels": {"task_name": replica}}}) == name
