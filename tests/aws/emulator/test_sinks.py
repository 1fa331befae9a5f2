from __future__ import annotations

import time

import pytest
from cloudops_sagemaker.emulator.sinks import log_stream

from cloudops.offline.machines.tails import LogTail

from .rig import refusal


@pytest.fixture
def stream(rig):
    made = log_stream(rig.emulator._site.region("us-east-1"), "/group", rig.name())
    made.deliver([(1_000_000 + number, f"line {number}") for number in range(25)])
    return made


def messages(page):
    return [int(event["message"].split()[1]) for event in page["events"]]


def test_pages_forwards_and_backwards(rig, stream):
    def get(**params):
        return rig.logs.get_log_events(logGroupName="/group", logStreamName=stream.log_stream_name, limit=10, **params)

    first = get(startFromHead=True)
    assert messages(first) == list(range(10))
    second = get(nextToken=first["nextForwardToken"], startFromHead=True)
    assert messages(second) == list(range(10, 20))
    last = get(nextToken=second["nextForwardToken"], startFromHead=True)
    assert messages(last) == list(range(20, 25))
    end = get(nextToken=last["nextForwardToken"], startFromHead=True)
    assert (messages(end), end["nextForwardToken"]) == ([], last["nextForwardToken"])
    stream.deliver([(1_000_100, "line 25")])
    assert messages(get(nextToken=end["nextForwardToken"], startFromHead=True)) == [25]
    tail = get()
    assert messages(tail) == list(range(16, 26))
    assert messages(get(nextToken=tail["nextBackwardToken"])) == list(range(6, 16))
    assert messages(get(nextToken=second["nextBackwardToken"])) == list(range(10))


def test_by_time(rig, stream):
    page = rig.logs.get_log_events(
        logGroupName="/group",
        logStreamName=stream.log_stream_name,
        startTime=1_000_003_000,
        endTime=1_000_006_000,
        startFromHead=True,
    )
    assert messages(page) == [3, 4, 5]
    found = rig.logs.filter_log_events(
        logGroupName="/group", logStreamNames=[stream.log_stream_name], filterPattern='"line 1"'
    )
    assert messages(found)[:2] == [1, 10]


def test_a_page_has_a_mebibyte_at_most(rig):
    made = log_stream(rig.emulator._site.region("us-east-1"), "/group", rig.name())
    made.deliver([(1_000_000 + number, "é" * 30_000) for number in range(40)])
    get = {"logGroupName": "/group", "logStreamName": made.log_stream_name, "startFromHead": True}
    first = rig.logs.get_log_events(**get)
    assert len(first["events"]) == 17
    second = rig.logs.get_log_events(nextToken=first["nextForwardToken"], **get)
    assert len(second["events"]) == 17


def test_a_token_that_is_none(rig, stream):
    code, _ = refusal(
        rig.logs.get_log_events, logGroupName="/group", logStreamName=stream.log_stream_name, nextToken="x"
    )
    assert code == "InvalidParameterException"


def test_a_stream_describes_itself(rig, stream):
    (found,) = rig.logs.describe_log_streams(logGroupName="/group", logStreamNamePrefix=stream.log_stream_name)[
        "logStreams"
    ]
    assert (found["firstEventTimestamp"], found["lastEventTimestamp"]) == (1_000_000_000, 1_000_024_000)


def test_a_page_far_into_a_long_log_is_quick(rig):
    made = log_stream(rig.emulator._site.region("us-east-1"), "/group", rig.name())
    made.deliver([(1_000_000 + number / 1000, f"line {number}") for number in range(500_000)])
    begun = time.monotonic()
    token = f"f/{490_000:056d}"
    page = rig.logs.get_log_events(
        logGroupName="/group", logStreamName=made.log_stream_name, nextToken=token, startFromHead=True
    )
    assert messages(page)[0] == 490_000
    assert time.monotonic() - begun < 1


def test_only_whole_lines_are_taken(tmp_path):
    path = tmp_path / "rank-0.log"
    tail = LogTail(path)
    assert tail.lines() == []
    path.write_bytes("1.5 é\n2.5 ha".encode())
    assert tail.lines() == [(1.5, "é")]
    with path.open("ab") as file:
        file.write(b"lf\n3.0 \n")
    assert tail.lines() == [(2.5, "half"), (3.0, "")]
