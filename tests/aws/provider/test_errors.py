"""Every error of AWS becomes one of cloudops."""

from __future__ import annotations

import http.client

import botocore.exceptions
import botocore.session
import pytest
import urllib3.exceptions
from cloudops_sagemaker.errors import _LOCAL, classified, explained, is_kind, translated
from cloudops_sagemaker.policy import CALLS

from cloudops.errors import (
    AuthError,
    CloudopsError,
    ConfigError,
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
from cloudops.refs import Ref

REF = Ref("sagemaker", "123456789012/us-east-1", "jobs", "small-train-0123456789")


def answer(code: str, message: str, operation: str = "DescribeTrainingJob", **more: object) -> Exception:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"RequestId": "r-1"}, **more}
    return botocore.exceptions.ClientError(response, operation)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("ValidationException", "Requested resource not found.", NotFound),
        ("ValidationException", 'Could not find endpoint "arn:aws:sagemaker:..."', NotFound),
        ("ValidationException", "Could not find model data at s3://b/x.", InvalidRequest),
        ("ValidationException", 'Cannot create already existing endpoint "arn"', Conflict),
        ("ValidationException", 'Cannot update in-progress endpoint "arn".', Conflict),
        ("ValidationException", "The request was rejected because the training job is in status Stopped.", Conflict),
        ("ValidationException", "Could not assume role arn:aws:iam::1:role/x. Please ensure", AuthError),
        ("ValidationException", "1 validation error detected: Value 'X' at 'trainingJobName'", InvalidRequest),
        ("ValidationError", "Endpoint x of account 1 not found.", NotFound),
        (
            "ResourceLimitExceeded",
            "The account-level service limit 'ml.p3.2xlarge for training job usage'",
            QuotaExceeded,
        ),
        ("ResourceInUse", "Training job names must be unique", Conflict),
        ("ExpiredTokenException", "The security token included in the request is expired", AuthError),
        ("UnrecognizedClientException", "The security token included in the request is invalid.", AuthError),
        ("ThrottlingException", "Rate exceeded", Throttled),
        ("SlowDown", "Please reduce your request rate.", Throttled),
        ("InternalFailure", "", Unavailable),
        ("503", "Service Unavailable", Unavailable),
        ("404", "Not Found", NotFound),
        ("NoSuchBucket", "The specified bucket does not exist", NotFound),
        ("BucketAlreadyExists", "", Conflict),
        ("NoSuchEntity", "The role with name x cannot be found.", NotFound),
        ("InsufficientInstanceCapacity", "", NoCapacity),
        ("SomethingNew", "nobody knows", UnknownProviderError),
    ],
)
def test_code_and_message_make_the_class(code: str, message: str, kind: type[ProviderError]) -> None:
    assert classified(code, message)[0] is kind


def test_what_is_told_of_an_error() -> None:
    with pytest.raises(Throttled) as caught, translated("status", REF):
        raise answer("ThrottlingException", "Rate exceeded")
    error = caught.value
    assert (error.provider, error.operation, error.ref) == ("sagemaker", "status", str(REF))
    assert (error.code, error.request_id, error.retryable) == ("ThrottlingException", "r-1", True)
    assert REF.id in error.message
    assert isinstance(error.__cause__, botocore.exceptions.ClientError)


def test_a_list_of_all_that_would_be_right_is_cut() -> None:
    known = ", ".join(f"ml.m{number}.xlarge" for number in range(500))
    told = "Value 'ml.m5.huge' at 'instanceType' failed to satisfy constraint: Member must satisfy enum value set: ["
    message = f"2 validation errors detected: {told}{known}]; Value '' at 'other' failed to satisfy constraint: length"
    found = explained(answer("ValidationException", message), "submit", REF)
    assert found is not None
    assert len(found.message) < 420
    assert told in found.message
    assert "...]; Value '' at 'other' failed" in found.message


@pytest.mark.parametrize(
    ("message", "operation", "action", "resource"),
    [
        (
            "User: arn:aws:iam::1:user/u is not authorized to perform: sagemaker:CreateTrainingJob on resource: "
            "arn:aws:sagemaker:us-east-1:1:training-job/x because no identity-based policy allows it",
            "CreateTrainingJob",
            "sagemaker:CreateTrainingJob",
            "arn:aws:sagemaker:us-east-1:1:training-job/x",
        ),
        ("Forbidden", "HeadBucket", "s3:ListBucket", ""),
        ("Access Denied", "UploadPartCopy", "s3:PutObject", ""),
    ],
)
def test_a_denial_names_the_missing_permission(message: str, operation: str, action: str, resource: str) -> None:
    found = explained(answer("AccessDenied", message, operation), "submit", REF)
    assert isinstance(found, AuthError)
    assert action in found.message
    assert action in (found.hint or "")
    assert resource in (found.hint or "")


def test_every_code_in_the_service_models_is_known() -> None:
    """Of the operations that cloudops calls, and those that any call may be answered with."""
    session = botocore.session.get_session()
    codes = set()
    for call in CALLS:
        service, operation = call.split(":")
        for shape in session.get_service_model(service).operation_model(operation).error_shapes:
            codes.add(shape.metadata.get("error", {}).get("code", shape.name))
    assert len(codes) > 40
    unknown = {code for code in codes if classified(code, "")[0] is UnknownProviderError}
    assert unknown == set()


def test_every_error_of_the_sdk_itself_is_translated() -> None:
    """Also those that the table does not name: none reaches a caller as it is."""
    found = [each for each in vars(botocore.exceptions).values() if isinstance(each, type)]
    classes = [each for each in found if issubclass(each, botocore.exceptions.BotoCoreError)]
    assert len(classes) > 50
    for each in classes:
        error = each.__new__(each)
        Exception.__init__(error, "text")
        assert isinstance(explained(error, "status"), CloudopsError), each
    assert {name for name in _LOCAL if not hasattr(botocore.exceptions, name)} == set()


def test_settings_that_are_wrong_are_no_errors_of_the_provider() -> None:
    missing = botocore.exceptions.ProfileNotFound(profile="nobody")
    assert isinstance(explained(missing, "connect"), ConfigError)
    assert isinstance(explained(botocore.exceptions.NoCredentialsError(), "connect"), AuthError)
    connection = botocore.exceptions.EndpointConnectionError(endpoint_url="https://x")
    assert isinstance(explained(connection, "status"), Unavailable)


@pytest.mark.parametrize(
    ("reason", "message", "hint"),
    [
        (http.client.RemoteDisconnected("hung up"), "the connection ended before the answer: hung up", "try again"),
        (OSError("Tunnel connection failed: 403"), "Tunnel connection failed: 403", "check HTTPS_PROXY"),
        (ConnectionRefusedError("refused"), "Failed to connect to proxy", "check HTTPS_PROXY"),
    ],
)
def test_a_connection_that_ends_behind_a_proxy_is_no_error_of_the_proxy(
    reason: OSError, message: str, hint: str
) -> None:
    """urllib3 calls both the same."""
    cause = urllib3.exceptions.ProxyError("Unable to connect to proxy", reason)
    error = botocore.exceptions.ProxyConnectionError(proxy_url="http://proxy", error=cause)
    found = explained(error, "status")
    assert isinstance(found, Unavailable)
    assert message in found.message
    assert (found.hint or "").startswith(hint)


def test_what_is_not_the_sdks_passes() -> None:
    assert explained(ValueError("ours"), "status") is None
    with pytest.raises(ZeroDivisionError), translated("status"):
        _ = 1 / 0
    assert not is_kind(ValueError("x"), NotFound)


def test_every_code_of_the_offline_cloud_is_known() -> None:
    import re
    from pathlib import Path

    import cloudops_sagemaker

    folder = Path(cloudops_sagemaker.__file__).parent / "emulator"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    codes = set(re.findall(r'ServiceError\(\s*"(\w+)"', text))
    assert len(codes) >= 5
    assert {code for code in codes if classified(code, "")[0] is UnknownProviderError} == set()
