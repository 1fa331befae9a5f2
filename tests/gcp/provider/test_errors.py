"""Every answer of Google's is one of the errors of cloudops, with a hint where there is something to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cloudops_vertex.errors import Answered, Refused, explained, is_kind, translated, was_refused

from cloudops.errors import (
    AuthError,
    CloudopsError,
    Conflict,
    InvalidRequest,
    NoCapacity,
    NotFound,
    ProviderError,
    QuotaExceeded,
    Throttled,
    Unavailable,
    UnknownProviderError,
)

_RECORDED = Path(__file__).parents[2] / "data" / "vertex" / "service_disabled_403.json"


def answer(status: int, message: str, code: str = "", call: str = "", **more: Any) -> Refused:
    error = {"code": status, "message": message, **({"status": code} if code else {}), **more}
    return Refused(Answered.parse(status, {"error": error}, call))


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (answer(404, "The CustomJob does not exist.", "NOT_FOUND"), NotFound, ""),
        (answer(404, "No such object: b/k"), NotFound, ""),
        (answer(409, "Already exists.", "ALREADY_EXISTS"), Conflict, ""),
        (answer(412, "At least one of the pre-conditions you specified did not hold."), Conflict, ""),
        (answer(400, "The job is not in a final state.", "FAILED_PRECONDITION"), Conflict, ""),
        (answer(400, "machineType is invalid", "INVALID_ARGUMENT"), InvalidRequest, ""),
        (answer(401, "Invalid credentials", "UNAUTHENTICATED"), AuthError, "gcloud auth application-default login"),
        (
            answer(
                429,
                "The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_cpus",
                "RESOURCE_EXHAUSTED",
            ),
            QuotaExceeded,
            "Quotas & System Limits",
        ),
        (
            answer(429, "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute'"),
            Throttled,
            "try again",
        ),
        (answer(429, "The object exceeded the rate limit for object mutation operations"), Throttled, "try again"),
        (
            answer(429, "Resources are insufficient in region: us-central1.", "RESOURCE_EXHAUSTED"),
            NoCapacity,
            "flex-start",
        ),
        (answer(403, "The project has no billing account", "PERMISSION_DENIED"), AuthError, "enable billing"),
        (
            answer(403, "Permission 'aiplatform.customJobs.create' denied on resource '//x'", "PERMISSION_DENIED"),
            AuthError,
            "have aiplatform.customJobs.create granted",
        ),
        (
            answer(403, "a@b does not have storage.objects.get access to the Google Cloud Storage object."),
            AuthError,
            "have storage.objects.get granted",
        ),
        (answer(403, "Forbidden", call="logging.entries.list"), AuthError, "have logging.logEntries.list granted"),
        (answer(500, "Internal error encountered.", "INTERNAL"), Unavailable, ""),
        (answer(503, "Backend Error"), Unavailable, ""),
        (answer(418, "I am a teapot"), UnknownProviderError, ""),
    ],
)
def test_answers(error: Refused, kind: type[ProviderError], hint: str) -> None:
    found = explained(error, "submit", "job-1")
    assert type(found) is kind
    assert found.message.startswith("submit job-1: ")
    assert hint in (found.hint or "")
    assert "\n" not in found.message
    assert is_kind(error, kind)


def test_a_missing_permission_is_in_the_text() -> None:
    found = explained(answer(403, "Forbidden", call="storage.buckets.insert"), "submit")
    assert "storage.buckets.create is not granted" in str(found)


def test_a_service_that_is_not_enabled_as_it_was_recorded() -> None:
    text = _RECORDED.read_text(encoding="utf-8").replace("ml.googleapis.com", "aiplatform.googleapis.com")
    body = json.loads(text)[0]["response"]["body"]
    found = explained(Refused(Answered.parse(403, body)), "submit")
    assert isinstance(found, AuthError)
    assert (found.hint or "").startswith(
        "enable the service: https://console.developers.google.com/apis/api/aiplatform"
    )


def test_what_is_no_json_is_told_all_the_same() -> None:
    found = explained(Refused(Answered.parse(502, "<html>bad gateway</html>")), "list jobs")
    assert isinstance(found, Unavailable)
    assert "bad gateway" in found.message


def test_errors_of_the_generated_client() -> None:
    from google.api_core import exceptions

    for kind, expected in (
        (exceptions.NotFound, NotFound),
        (exceptions.Forbidden, AuthError),
        (exceptions.TooManyRequests, Throttled),
        (exceptions.ServiceUnavailable, Unavailable),
        (exceptions.BadRequest, InvalidRequest),
        (exceptions.Conflict, Conflict),
    ):
        assert type(explained(kind("it is so"), "get")) is expected
    assert was_refused(exceptions.NotFound("x"))
    assert not was_refused(exceptions.ServiceUnavailable("x"))


def test_what_google_and_requests_raise_themselves() -> None:
    import requests
    from google.auth import exceptions

    for error, expected, hint in (
        (exceptions.DefaultCredentialsError("none"), AuthError, "gcloud auth application-default login"),
        (exceptions.RefreshError("expired"), AuthError, "no longer valid"),
        (exceptions.TransportError("no way"), Unavailable, "network"),
        (requests.exceptions.ProxyError("refused"), Unavailable, "HTTPS_PROXY"),
        (requests.exceptions.SSLError("self-signed"), Unavailable, "REQUESTS_CA_BUNDLE"),
        (requests.exceptions.ConnectionError("ended"), Unavailable, "network"),
        (requests.exceptions.ReadTimeout("slow"), Unavailable, "network"),
    ):
        found = explained(error, "status")
        assert type(found) is expected
        assert hint in (found.hint or "")
        assert not was_refused(error)


def test_other_errors_are_not_touched() -> None:
    assert explained(ZeroDivisionError("x"), "submit") is None
    with pytest.raises(ZeroDivisionError), translated("submit"):
        _ = 1 / 0


def test_an_error_of_ours_gets_its_place() -> None:
    with pytest.raises(CloudopsError) as caught, translated("submit", "job-1"):
        raise InvalidRequest("no")
    assert (caught.value.provider, caught.value.operation, caught.value.ref) == ("vertex", "submit", "job-1")
