"""BigQuery keeps tables and gives their rows; the log of an endpoint's predictions is one of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudops_vertex.emulator.services import services

from cloudops.offline.faults import FaultKind

from .rig import PARENT, PROJECT, Answer, Cloud
from .test_endpoints import deploy, endpoint, upload

pytestmark = pytest.mark.timeout(120)
HOST = "bigquery.googleapis.com"
DATASETS = f"/bigquery/v2/projects/{PROJECT}/datasets"
SCHEMA = {
    "fields": [
        {"name": "a", "type": "STRING", "mode": "REQUIRED"},
        {"name": "n", "type": "INT64"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
        {"name": "at", "type": "TIMESTAMP"},
    ]
}


@pytest.fixture
def warehouse(cloud: Cloud) -> Cloud:
    cloud.app._services = dict(services(cloud.site))
    return cloud


def ask(cloud: Cloud, verb: str, path: str, body: Any = None, *, token: bool = True) -> Answer:
    given = f"Bearer {cloud.site.tokens.issue('tester@example.com').text}" if token else ""
    data = b"" if body is None else json.dumps(body).encode()
    return cloud.send(verb, f"{DATASETS}{path}", data, host=HOST, authorization=given)


def good(cloud: Cloud, verb: str, path: str, body: Any = None) -> Any:
    answer = ask(cloud, verb, path, body)
    assert 200 <= answer.status < 300, answer.data
    return answer.json if answer.data else None


def table(cloud: Cloud) -> str:
    good(cloud, "POST", "", {"datasetReference": {"datasetId": "d"}})
    made = good(cloud, "POST", "/d/tables", {"tableReference": {"tableId": "t"}, "schema": SCHEMA})
    assert [one["type"] for one in made["schema"]["fields"]] == ["STRING", "INTEGER", "STRING", "TIMESTAMP"]
    return "/d/tables/t"


def test_rows_come_back_in_pages(warehouse: Cloud) -> None:
    where = table(warehouse)
    sent = [{"json": {"a": str(number), "n": number, "tags": ["x", "y"], "at": 1.5}} for number in range(5)]
    assert "insertErrors" not in good(warehouse, "POST", f"{where}/insertAll", {"rows": sent})
    first = good(warehouse, "GET", f"{where}/data?maxResults=3")
    assert (first["totalRows"], len(first["rows"])) == ("5", 3)
    assert first["rows"][2]["f"][:3] == [{"v": "2"}, {"v": "2"}, {"v": [{"v": "x"}, {"v": "y"}]}]
    assert float(first["rows"][2]["f"][3]["v"]) == 1.5
    rest = good(warehouse, "GET", f"{where}/data?pageToken={first['pageToken']}")
    assert [row["f"][0]["v"] for row in rest["rows"]] == ["3", "4"]
    chosen = good(warehouse, "GET", f"{where}/data?selectedFields=n&maxResults=1")
    assert chosen["rows"] == [{"f": [{"v": "0"}]}]


def test_rows_that_do_not_fit_are_told_one_by_one(warehouse: Cloud) -> None:
    where = table(warehouse)
    sent = [{"json": {"n": 1}}, {"json": {"a": "x", "n": "many"}}, {"json": {"a": "x", "colour": "red"}}]
    errors = good(warehouse, "POST", f"{where}/insertAll", {"rows": sent})["insertErrors"]
    assert [one["index"] for one in errors] == [0, 1, 2]
    assert "Missing required field" in errors[0]["errors"][0]["message"]
    assert "no such field: colour" in errors[2]["errors"][0]["message"]
    assert good(warehouse, "GET", f"{where}/data").get("rows", []) == []


def test_what_is_there_is_listed_and_deleted(warehouse: Cloud) -> None:
    table(warehouse)
    twice = ask(warehouse, "POST", "", {"datasetReference": {"datasetId": "d"}})
    assert (twice.status, twice.json["error"]["errors"][0]["reason"]) == (409, "duplicate")
    assert [one["datasetReference"]["datasetId"] for one in good(warehouse, "GET", "")["datasets"]] == ["d"]
    assert [one["tableReference"]["tableId"] for one in good(warehouse, "GET", "/d/tables")["tables"]] == ["t"]
    assert ask(warehouse, "DELETE", "/d").status == 400
    good(warehouse, "DELETE", "/d/tables/t")
    good(warehouse, "DELETE", "/d")
    gone = ask(warehouse, "GET", "/d")
    assert (gone.status, gone.json["error"]["errors"][0]["reason"]) == (404, "notFound")


def test_who_is_unknown_is_refused_and_so_are_queries(warehouse: Cloud) -> None:
    assert ask(warehouse, "GET", "", token=False).status == 401
    token = warehouse.site.tokens.issue("tester@example.com").text
    path = f"/bigquery/v2/projects/{PROJECT}/queries"
    query = warehouse.send("POST", path, b"{}", host=HOST, authorization=f"Bearer {token}")
    assert query.status in (400, 501)
    assert "offline" in query.json["error"]["message"]


def test_a_fault_has_the_form_of_the_service(warehouse: Cloud) -> None:
    service = warehouse.app._services["bigquery.googleapis.com/*"]
    told: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": DATASETS, "RAW_URI": DATASETS, "HTTP_HOST": HOST}

    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        told.append(status)

    body = b"".join(service.refuse(FaultKind.ACCESS_DENIED, environ, start))
    assert told[0].startswith("403")
    assert json.loads(body)["error"]["errors"][0]["reason"] == "accessDenied"


def test_predictions_are_logged(warehouse: Cloud) -> None:
    config = {"enabled": True, "samplingRate": 1.0, "bigqueryDestination": {"outputUri": f"bq://{PROJECT}"}}
    where = endpoint(warehouse, predictRequestResponseLoggingConfig=config)
    dataset = f"logging_e_{where.rpartition('/')[2]}"
    told = warehouse.rest("GET", where)["predictRequestResponseLoggingConfig"]["bigqueryDestination"]
    assert told == {"outputUri": f"bq://{PROJECT}.{dataset}.request_response_logging"}
    deployed = deploy(warehouse, where, upload(warehouse))
    warehouse.rest("POST", f"{where}:predict", {"instances": [1, {"b": 2}]})
    warehouse.send("POST", f"/v1/{where}:rawPredict", b"abc", kind="text/x")
    found = good(warehouse, "GET", f"/{dataset}/tables/request_response_logging/data")["rows"]
    rows = [[one["v"] for one in row["f"]] for row in found]
    assert {row[0] for row in rows} == {where.rpartition("/")[2]}
    assert {row[1] for row in rows} == {deployed}
    assert rows[0][4] == [{"v": "1"}, {"v": '{"b": 2}'}]
    assert rows[0][5] == [{"v": '["one", 1]'}, {"v": '["one", {"b": 2}]'}]
    assert (rows[1][4], rows[1][5]) == ([{"v": "abc"}], [{"v": "cba"}])


def test_only_a_share_is_logged_and_nonsense_is_refused(warehouse: Cloud) -> None:
    uri = {"outputUri": f"bq://{PROJECT}.mine.log"}
    config = {"enabled": True, "samplingRate": 0.5, "bigqueryDestination": uri}
    where = endpoint(warehouse, predictRequestResponseLoggingConfig=config)
    deploy(warehouse, where, upload(warehouse))
    for number in range(40):
        warehouse.rest("POST", f"{where}:predict", {"instances": [number]})
    assert 5 < int(good(warehouse, "GET", "/mine/tables/log/data")["totalRows"]) < 35
    no_table = {"samplingRate": 1, "bigqueryDestination": {"outputUri": "x"}}
    for wrong, field in (({"samplingRate": 2}, "sampling_rate"), (no_table, "output_uri")):
        body = {"displayName": "e", "predictRequestResponseLoggingConfig": {"enabled": True, **wrong}}
        refused = warehouse.try_rest("POST", f"{PARENT}/endpoints", body)
        assert (refused.status, field in refused.json["error"]["message"]) == (400, True)
