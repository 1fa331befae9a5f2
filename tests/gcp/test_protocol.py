"""The protocol of Vertex AI by its descriptors: every recorded request is understood, and what does not fit is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudops_vertex.emulator.protocol import behaviour, pool, requests, routes
from cloudops_vertex.emulator.protocol.errors import CODES, ServiceError
from cloudops_vertex.emulator.protocol.parsing import parse

from .recordings import NAMES, Exchange, exchanges

PARENT = "projects/p/locations/us-central1"
ALL = [one for name in NAMES for one in exchanges(name)]
REST = [one for one in ALL if one.verb != "GRPC" and "/operations/" not in one.path]
GRPC = [one for one in ALL if one.verb == "GRPC"]


def understood(one: Exchange) -> Any:
    matched = routes.match(one.verb, one.path)
    assert matched is not None, one.path
    return requests.read(matched, one.query, json.dumps(one.body).encode() if one.body else b"")


@pytest.mark.parametrize("one", REST, ids=lambda one: one.name)
def test_every_recorded_request_is_understood(one: Exchange) -> None:
    request = understood(one)
    behaviour.check_required(request)
    assert request.ListFields()


@pytest.mark.parametrize("one", [one for one in REST if one.status == "200"], ids=lambda one: one.name)
def test_every_recorded_answer_is_a_message_and_comes_back_as_it_was(one: Exchange) -> None:
    matched = routes.match(one.verb, one.path)
    assert matched is not None
    answer = pool.class_of(matched.route.method.output_type)()
    parse(one.answer, answer)
    numbers = requests.enums_as_numbers(one.query)
    written = requests.write(answer, numbers=numbers)
    assert written == one.answer
    for name in ("state", "type"):
        assert not numbers or not isinstance(written.get(name), str)


@pytest.mark.parametrize("one", GRPC, ids=lambda one: one.name)
def test_every_recorded_call_over_grpc_is_understood(one: Exchange) -> None:
    service, _, name = one.path.strip("/").partition("/")
    found = [
        method for method in pool.methods() if (method.containing_service.full_name, method.name) == (service, name)
    ]
    assert len(found) == 1
    request = pool.class_of(found[0].input_type)()
    parse(one.body, request)
    behaviour.check_required(request)
    if one.status == "OK":
        parse(one.answer, pool.class_of(found[0].output_type)())


def test_routes_are_all_those_of_the_descriptors_and_the_particular_ones_go_first() -> None:
    methods = list(pool.methods())
    rules = [method for method in methods if pool.option(method, "google.api.http") is not None]
    assert len(rules) > 700
    assert len(methods) - len(rules) < 20  # streams in both directions have none
    matched = routes.match("POST", f"/v1/{PARENT}/endpoints/7:predict")
    assert matched is not None
    assert (matched.route.method.name, matched.values) == ("Predict", {"endpoint": f"{PARENT}/endpoints/7"})
    assert routes.match("GET", f"/v1/{PARENT}/endpoints/7:predict") is None
    assert routes.match("GET", "/v1/projects/p/nothing") is None
    named = routes.match("GET", f"/v1/{PARENT}/models/a%20b")
    assert named is not None
    assert named.values == {"name": f"{PARENT}/models/a b"}


def refusal(body: Any, verb: str = "POST", path: str = f"/v1/{PARENT}/customJobs", **query: list[str]) -> ServiceError:
    matched = routes.match(verb, path)
    assert matched is not None
    with pytest.raises(ServiceError) as caught:
        behaviour.check_required(
            requests.read(matched, query, body if isinstance(body, bytes) else json.dumps(body).encode())
        )
    assert caught.value.status == 400
    return caught.value


JOB: dict[str, Any] = {"displayName": "job", "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"imageUri": "image"}}]}}
TYPE = "google.cloud.aiplatform.v1"


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({**JOB, "nme": 1}, "custom_job", "Unknown name \"nme\" at 'custom_job': Cannot find field."),
        ({"displayName": 5}, "custom_job.display_name", "Invalid value at 'custom_job.display_name' (TYPE_STRING), 5"),
        ({"jobSpec": []}, "custom_job.job_spec", f"(type.googleapis.com/{TYPE}.CustomJobSpec), []"),
        (
            {"jobSpec": {"workerPoolSpecs": [{"replicaCount": "two"}]}},
            "custom_job.job_spec.worker_pool_specs[0].replica_count",
            "Invalid value at 'custom_job.job_spec.worker_pool_specs[0].replica_count' (TYPE_INT64), \"two\"",
        ),
        (
            {"jobSpec": {"workerPoolSpecs": {}}},
            "custom_job.job_spec.worker_pool_specs",
            f"(type.googleapis.com/{TYPE}.WorkerPoolSpec), {{}}",
        ),
        (
            {"jobSpec": {"scheduling": {"strategy": "SPOTTY"}}},
            "custom_job.job_spec.scheduling.strategy",
            f'(type.googleapis.com/{TYPE}.Scheduling.Strategy), "SPOTTY"',
        ),
        ({"labels": {"a": 1}}, 'custom_job.labels["a"]', "(TYPE_STRING), 1"),
        ({"jobSpec": {"enableWebAccess": "yes"}}, "custom_job.job_spec.enable_web_access", '(TYPE_BOOL), "yes"'),
        ({"jobSpec": {"scheduling": {"timeout": "10 minutes"}}}, "custom_job", "Invalid value at 'custom_job'"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_its_place(body: Any, field: str, text: str) -> None:
    error = refusal(body)
    assert text in error.message
    violations = error.body()["error"]["details"][0]["fieldViolations"]
    assert [one["field"] for one in violations] == [field]


def test_all_problems_are_told_at_once() -> None:
    assert refusal({"a": 1, "displayName": 2}).message.count("\n") == 1
    assert "Invalid JSON payload received." in refusal(b"{").message


def test_required_fields_are_required_down_to_the_last_message() -> None:
    assert refusal({}).message == (
        "List of found errors:\t1.Field: custom_job.display_name; Message: Required field is not set.\t"
        "2.Field: custom_job.job_spec; Message: Required field is not set.\t"
    )
    inner = {**JOB, "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"command": ["ls"]}}]}}
    assert "custom_job.job_spec.worker_pool_specs[0].container_spec.image_uri;" in refusal(inner).message


def test_of_an_update_what_changes_has_to_be_there() -> None:
    path = f"/v1/{PARENT}/datasets/7"
    masked = refusal({"description": "x"}, "PATCH", path, updateMask=["displayName"])
    assert (
        masked.message == "List of found errors:\t1.Field: dataset.display_name; Message: Required field is not set.\t"
    )
    assert "Field: update_mask;" in refusal({"displayName": "x"}, "PATCH", path).message


def test_parameters_go_to_their_fields() -> None:
    matched = routes.match("PATCH", f"/v1/{PARENT}/endpoints/7")
    assert matched is not None
    request: Any = requests.read(matched, {"updateMask": ["displayName,traffic_split"], "alt": ["json"]}, b"{}")
    assert list(request.update_mask.paths) == ["display_name", "traffic_split"]
    assert request.endpoint.name == f"{PARENT}/endpoints/7"
    listing = routes.match("GET", f"/v1/{PARENT}/models")
    assert listing is not None
    request = requests.read(listing, {"pageSize": ["5"], "filter": ["labels.a=b"], "readMask": ["name"]}, b"")
    assert (request.page_size, request.filter, request.parent) == (5, "labels.a=b", PARENT)
    wrong = refusal(b"", "GET", f"/v1/{PARENT}/models", pageSize=["five"])
    assert "Invalid value at 'page_size'" in wrong.message
    assert (
        'Unknown name "sizee": Cannot bind query parameter.'
        in refusal(b"", "GET", f"/v1/{PARENT}/models", sizee=["5"]).message
    )


def test_what_only_the_service_sets_is_taken_out() -> None:
    job: Any = pool.of("v1", "CustomJob")()
    parse({**JOB, "name": "mine", "state": "JOB_STATE_SUCCEEDED", "createTime": "2024-01-01T00:00:00Z"}, job)
    behaviour.clear_output_only(job, keep=frozenset({"name"}))
    assert requests.write(job) == {**JOB, "name": "mine"}


def test_codes_have_the_status_that_google_gives_them() -> None:
    assert ServiceError("NOT_FOUND", "gone").body() == {
        "error": {"code": 404, "message": "gone", "status": "NOT_FOUND"}
    }
    assert len({number for _, number in CODES.values()}) == len(CODES)
