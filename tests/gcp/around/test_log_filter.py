"""The Logging query language: what matches, what does not, and what is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest
from cloudops_vertex.emulator import filters
from cloudops_vertex.emulator.entries import SEVERITIES, Entry, Origin
from cloudops_vertex.emulator.filters import FilterError
from cloudops_vertex.emulator.log_filter import LogFilter
from cloudops_vertex.emulator.protocol.errors import ServiceError
from hypothesis import given
from hypothesis import strategies as st

ORIGIN = Origin(
    "example-project", "aiplatform.googleapis.com/log", "ml_job", (("job_id", "42"), ("task_name", "workerpool0-0"))
)
SECOND = 10**9
TEXT = Entry(
    ORIGIN,
    1_700_000_000 * SECOND,
    "id-1",
    SEVERITIES["ERROR"],
    "Epoch 3: Loss = 0.25",
    None,
    {"ml.googleapis.com/tpu": "No", "short": "x"},
    1_700_000_001 * SECOND,
    {"trace": "t1", "httpRequest": {"status": 503, "requestSize": "120", "latency": "1.5s"}},
)
DATA = Entry(
    ORIGIN,
    1_700_000_002 * SECOND,
    "id-2",
    SEVERITIES["INFO"],
    None,
    {"message": "done", "epoch": 3, "ok": True, "tags": ["a", "Bb"], "in": {"deep": "Water"}, "none": None},
    {},
    1_700_000_003 * SECOND,
)


def matching(text: str) -> list[Entry]:
    wanted = LogFilter(text)
    return [one for one in (TEXT, DATA) if wanted.matches(one)]


@pytest.mark.parametrize(
    "text",
    [
        'resource.type="ml_job" AND severity>=ERROR',
        'resource.labels.job_id="42" labels.short=x',
        'resource.labels.task_name=("workerpool0-0" OR "workerpool1-0") AND severity=error',
        'labels."ml.googleapis.com/tpu"="no"',
        'labels."ml.googleapis.com/tpu":*',
        'textPayload:"epoch 3"',
        'textPayload=~"^Epoch \\\\d+"',
        'textPayload!~"^epoch" AND textPayload=~"(?i)^epoch" AND textPayload:*',
        'timestamp>="2023-11-14T22:13:20Z" timestamp<"2023-11-14T22:13:21.5Z"',
        'timestamp<="2023-11-14T23:13:20+01:00"',
        'insertId="ID-1"',
        "NOT severity=INFO",
        "-severity=INFO",
        "-(severity=INFO OR severity=DEBUG)",
        "loss -- the rest of the line is no filter: ((",
        "epoch loss",
        '"Epoch 3"',
        "severity=(ERROR OR CRITICAL)",
        "severity>200",
        "httpRequest.status>=500",
        "httpRequest.requestSize=120",
        'httpRequest.latency>"1s"',
        'trace="t1"',
        'labels:"x"',
        'http_request.status=503 AND log_name:"log"',
        'insertId=("id-1" AND NOT "id-2")',
    ],
)
def test_only_the_text_matches(text: str) -> None:
    assert matching(text) == [TEXT]


@pytest.mark.parametrize(
    "text",
    [
        'jsonPayload.message="DONE"',
        "jsonPayload.epoch=3",
        "jsonPayload.epoch>2.5 jsonPayload.epoch<=3",
        "jsonPayload.ok=true",
        "jsonPayload.tags:b",
        'jsonPayload.tags=("a" AND "bb")',
        "jsonPayload.in.deep=water",
        'jsonPayload:"water"',
        "jsonPayload.none=NULL_VALUE",
        "jsonPayload.message:*",
        'jsonPayload.message!="other"',
        "water",
        "httpRequest.status=0",
        "NOT jsonPayload.message=other AND severity<ERROR",
        "labels.short!=y OR severity=INFO AND NOT textPayload:*",
    ],
)
def test_only_the_object_matches(text: str) -> None:
    assert matching(text) == [DATA]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n -- nothing",
        "*",
        'logName="projects/example-project/logs/aiplatform.googleapis.com%2Flog"',
        'log_id("aiplatform.googleapis.com/log")',
        'NOT jsonPayload.missing="x"',
        'receiveTimestamp>"2020-01-01"',
        "resource.labels:42",
    ],
)
def test_both_match(text: str) -> None:
    assert matching(text) == [TEXT, DATA]


@pytest.mark.parametrize(
    "text",
    [
        'jsonPayload.missing!="x"',  # what is missing compares with nothing
        "jsonPayload.missing:*",
        "labels.other!=x",
        'log_id("other")',
        "operation.producer:*",
        "trace=~t2",
    ],
)
def test_none_match(text: str) -> None:
    assert matching(text) == []


def test_or_binds_closer_than_and() -> None:
    node: Any = filters.parse("a OR NOT b AND NOT c OR d e")
    assert [type(part).__name__ for part in node.parts] == ["Or", "Or", "Literal"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("timestamp>=2020-01-01T00:00:00Z", "syntax error at line 1, column 24, token ':'"),
        ("severity>=ERROR AND\n(resource.type=a", "syntax error at line 2, column 16, token '<EOF>'"),
        ("a AND", "token '<EOF>'"),
        ("OR a", "syntax error at line 1, column 0, token 'OR'"),
        ("textPayload=", "column 12"),
        ('"unclosed', "column 0, token '\"'"),
        ("a) b", "column 1, token ')'"),
        ("thud=1", "Field not found: 'thud'"),
        ("resource.thud=1", "Field not found: 'resource.thud'"),
        ("textPayload.thud=1", "Field not found: 'textPayload.thud'"),
        ("labels.a.b=1", "quotation marks"),
        ("severity=LOUD", "line 1, column 9"),
        ("severity=~ERROR", "regular expressions apply to texts only"),
        ('timestamp>"yesterday"', "is not a time"),
        ("httpRequest.status=many", "is not a number"),
        ('textPayload=~"("', "invalid regular expression"),
        ("resource=x", "does not fit"),
        ("sample(insertId, 0.5)", "'sample' at line 1, column 0 is not emulated"),
        ('textPayload=cast("a")', "a function as a value"),
        ("(" * 100 + "a" + ")" * 100, "nested too deeply"),
        ("a " * 20_000, "longer than 20000"),
        ("labels.=1", "syntax error"),
        ('"a"=b', "token '='"),
        ("log_id(a, b)", "takes one argument"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, where: str) -> None:
    with pytest.raises(ServiceError) as caught:
        LogFilter(text)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.message.startswith("Unparseable filter: ")
    assert where in caught.value.message


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = filters.parse(text)
    except FilterError:
        return
    assert found is None or list(filters.leaves(found))


@given(st.text(min_size=1, max_size=20))
def test_any_quoted_text_is_found_where_it_is(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    entry = Entry(ORIGIN, 0, "a", 0, f"before {text} after", None, {"a/b": text}, 0)
    assert LogFilter(f'textPayload:"{quoted}" AND labels."a/b"="{quoted}" AND "{quoted}"').matches(entry)


def test_times_and_origins_narrow_what_is_looked_at() -> None:
    wanted = LogFilter('timestamp>="2023-11-14T22:13:20Z" timestamp<"2023-11-14T22:13:30Z" resource.type=ml_job x')
    assert (wanted.low, wanted.high) == (1_700_000_000 * SECOND, 1_700_000_010 * SECOND)
    assert wanted.may_match(ORIGIN)
    assert not wanted.may_match(Origin("example-project", "l", "global", ()))
    assert LogFilter("resource.type=global OR x").may_match(ORIGIN)
