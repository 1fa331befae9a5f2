"""Cloud Logging: what is written is listed, in order, page by page, and refused where it cannot be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from cloudops_vertex.emulator import logging_service  # noqa: F401 - it registers the methods
from cloudops_vertex.emulator.entries import Entries
from cloudops_vertex.emulator.protocol.errors import ServiceError
from cloudops_vertex.emulator.site import Site

from .calls import LOGGING, PROJECT, new_site, rest

LOG = "aiplatform.googleapis.com/log"
JOB = {"job_id": "7", "task_name": "workerpool0-0"}
MANY = [(1000.0 + number // 3, "INFO", f"line {number}") for number in range(25)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = new_site(tmp_path)
    site.entries.add(PROJECT, LOG, "ml_job", JOB, MANY, {"short": "x"})
    site.entries.add(PROJECT, "other", "global", {}, [(1003.5, "ERROR", {"message": "broken", "n": 1})])
    return site


def listed(site: Site, **body: Any) -> Any:
    body.setdefault("resourceNames", [f"projects/{PROJECT}"])
    return rest(site, LOGGING, "POST", "/v2/entries:list", body)


def texts(answer: Any) -> list[str]:
    return [one.get("textPayload", "?") for one in answer.get("entries", [])]


def test_an_entry_has_all_that_a_client_looks_at(site: Site) -> None:
    entry = listed(site, filter="resource.type=global")["entries"][0]
    received, name = entry.pop("receiveTimestamp"), entry.pop("insertId")
    assert received
    assert name
    assert entry == {
        "logName": f"projects/{PROJECT}/logs/other",
        "resource": {"type": "global"},
        "timestamp": "1970-01-01T00:16:43.500Z",
        "severity": "ERROR",
        "jsonPayload": {"message": "broken", "n": 1.0},
    }


def test_lines_come_in_order_page_by_page(site: Site) -> None:
    question = {"filter": 'resource.labels.job_id="7"', "pageSize": 10}
    found, token, pages = [], "", 0
    while token or not pages:
        answer = listed(site, **question, pageToken=token)
        found += texts(answer)
        # What comes in between changes no page: it is newer, or of another job.
        site.entries.add(PROJECT, LOG, "ml_job", {"job_id": "8"}, [(1001.0, "INFO", "another")])
        token = answer.get("nextPageToken", "")
        pages += 1
    assert pages == 3
    assert found == [text for _, _, text in MANY]


def test_newest_first_is_the_same_backwards(site: Site) -> None:
    first = listed(site, orderBy="timestamp desc", pageSize=20)
    rest_ = listed(site, orderBy="timestamp desc", pageSize=20, pageToken=first["nextPageToken"])
    every = texts(listed(site, pageSize=1000))
    assert texts(first) + texts(rest_) == every[::-1]
    assert len(every) == 26


def test_a_token_is_good_for_its_question_only(site: Site) -> None:
    token = listed(site, pageSize=1)["nextPageToken"]
    for wrong in ({"pageToken": token, "filter": "x"}, {"pageToken": "nonsense!"}, {"pageToken": "bm9uZQ"}):
        with pytest.raises(ServiceError, match="page_token"):
            listed(site, **wrong)


def test_a_project_is_found_by_number_and_view(site: Site) -> None:
    number = site.projects.number(PROJECT)
    for name in (f"projects/{number}", f"projects/{PROJECT}/locations/global/buckets/_Default/views/_AllLogs"):
        assert len(listed(site, resourceNames=[name])["entries"]) == 26
    assert listed(site, resourceNames=["projects/nobody-else"]) == {}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"resourceNames": ["organizations/1"]}, "NOT_FOUND"),
        ({"resourceNames": ["projects/123456"]}, "NOT_FOUND"),
        ({"resourceNames": []}, "INVALID_ARGUMENT"),
        ({"orderBy": "severity"}, "INVALID_ARGUMENT"),
        ({"pageSize": -1}, "INVALID_ARGUMENT"),
        ({"filter": "x="}, "INVALID_ARGUMENT"),
    ],
)
def test_what_cannot_be_listed_is_refused(site: Site, body: Any, code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        listed(site, **body)
    assert caught.value.code == code


def write(site: Site, **body: Any) -> Any:
    return rest(site, LOGGING, "POST", "/v2/entries:write", body)


def test_what_is_written_is_there_once(site: Site) -> None:
    entry = {
        "severity": "NOTICE",
        "timestamp": "2024-05-01T10:00:00.000000001Z",
        "insertId": "mine",
        "jsonPayload": {"a": {"b": [1, True, None, "x"]}},
        "labels": {"k": "v"},
        "trace": "t",
        "httpRequest": {"status": 200, "requestSize": "5"},
        "sourceLocation": {"file": "a.py", "line": "3"},
    }
    name = f"projects/{site.projects.number(PROJECT)}/logs/a%2Fb"
    for _ in range(2):
        write(site, logName=name, resource={"type": "global"}, labels={"k": "w", "l": "m"}, entries=[entry])
    found = listed(site, filter='log_id("a/b")')["entries"]
    assert len(found) == 1
    assert found[0].pop("receiveTimestamp")
    assert found[0] == {
        **entry,
        "labels": {"k": "v", "l": "m"},
        "logName": f"projects/{PROJECT}/logs/a%2Fb",
        "resource": {"type": "global", "labels": {"project_id": PROJECT}},
    }
    assert listed(site, filter="jsonPayload.a.b:x AND sourceLocation.line=3 AND httpRequest.requestSize>4")


def test_an_entry_without_time_and_name_gets_both(site: Site) -> None:
    write(site, logName=f"projects/{PROJECT}/logs/l", resource={"type": "global"}, entries=[{"textPayload": "now"}])
    found = listed(site, filter="now")["entries"][0]
    assert found["insertId"]
    assert found["timestamp"][:2] == "20"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"resource": {"type": "global"}}, "log_name is not set"),
        ({"logName": "nonsense", "resource": {"type": "global"}}, "Invalid log name"),
        ({"logName": "projects/example-project/logs/a b", "resource": {"type": "global"}}, "Invalid log name"),
        ({"logName": "projects/example-project/logs/l"}, "resource is not set"),
    ],
)
def test_what_cannot_be_written_is_refused(site: Site, body: Any, text: str) -> None:
    with pytest.raises(ServiceError, match=text) as caught:
        write(site, **body, entries=[{"textPayload": "x"}])
    assert caught.value.code == "INVALID_ARGUMENT"
    assert len(listed(site)["entries"]) == 26


def test_what_can_be_written_is_where_the_client_wants_that(site: Site) -> None:
    body = {"logName": f"projects/{PROJECT}/logs/l", "resource": {"type": "global"}}
    entries = [{"textPayload": "good"}, {"textPayload": "bad", "logName": "x"}, {"textPayload": "x" * 300_000}]
    for partial, expected in ((False, []), (True, ["good"])):
        with pytest.raises(ServiceError, match="Invalid log name") as caught:
            write(site, **body, entries=entries, partialSuccess=partial)
        errors = caught.value.details[0]["logEntryErrors"]
        assert [(number, one["code"]) for number, one in errors.items()] == [("1", 3), ("2", 3)]
        assert errors["2"]["message"] == "Log entry with size 293.0K exceeds maximum size of 256.0K"
        assert texts(listed(site, filter="log_id(l)")) == expected


def test_lines_that_no_message_can_hold_are_listed(site: Site) -> None:
    lines = [(2000.0, "INFO", "half \ud83d"), (2001.0, "INFO", {"key\udc80": ["\udc80", 1, None, math.nan]})]
    site.entries.add(PROJECT, "odd", "global", {}, lines)
    found = listed(site, filter="log_id(odd)")["entries"]
    assert (found[0]["textPayload"], found[1]["jsonPayload"]) == ("half ?", {"key?": ["?", 1, None, "nan"]})


def test_nothing_is_written_by_a_dry_run(site: Site) -> None:
    body = {"logName": f"projects/{PROJECT}/logs/l", "resource": {"type": "global"}}
    assert write(site, **body, entries=[{"textPayload": "x"}], dryRun=True) == {}
    assert listed(site, filter="log_id(l)") == {}


def test_logs_are_listed_and_deleted(site: Site) -> None:
    ours = f"projects/{PROJECT}/logs/aiplatform.googleapis.com%2Flog"
    first = rest(site, LOGGING, "GET", f"/v2/projects/{PROJECT}/logs?pageSize=1")
    assert first["logNames"] == [ours]
    second = rest(site, LOGGING, "GET", f"/v2/projects/{PROJECT}/logs?pageSize=1&pageToken={first['nextPageToken']}")
    assert second == {"logNames": [f"projects/{PROJECT}/logs/other"]}
    assert rest(site, LOGGING, "DELETE", f"/v2/{ours}") == {}
    assert texts(listed(site)) == ["?"]
    with pytest.raises(ServiceError) as caught:
        rest(site, LOGGING, "DELETE", f"/v2/{ours}")
    assert caught.value.code == "NOT_FOUND"


def test_entries_that_came_first_go_when_there_are_too_many() -> None:
    entries = Entries(limit=100_000)
    for number in range(500):
        entries.add("p", f"log-{number % 2}", "global", {}, [(float(number), "INFO", "x" * 100)])
    found, more = entries.page(["p"], wanted=lambda entry: True, size=1000)
    assert not more
    times = [one.time // 10**9 for one in found]
    assert times == list(range(500 - len(times), 500))
    assert 200 < len(times) < 260


def test_what_is_dumped_is_there_again_and_what_comes_is_behind_it() -> None:
    entries = Entries()
    entries.add("p", "l", "global", {"a": "b"}, [(1.0, "INFO", "one"), (1.0, "ERROR", {"two": 2})])
    again = Entries()
    again.load(entries.dump())
    again.add("p", "l", "global", {"a": "b"}, [(1.0, "INFO", "three")])
    found, _ = again.page(["p"], wanted=lambda entry: True)
    assert [one.text or one.data for one in found] == ["one", {"two": 2}, "three"]
    assert again.drop("p", resource_labels={"a": "other"}) == 0
    assert again.drop("p", resource_type="global", resource_labels={"a": "b"}) == 3
    assert again.dump() == []


def test_late_lines_are_put_in_their_place() -> None:
    entries = Entries()
    entries.add(
        "p", "l", "global", {}, [(3.0, "INFO", "c"), (1.0, "INFO", "a"), (2.0, "INFO", "b"), (1.0, "INFO", "a2")]
    )
    found, _ = entries.page(["p"], wanted=lambda entry: True)
    assert [one.text for one in found] == ["a", "a2", "b", "c"]
