from __future__ import annotations

import json
import urllib.request

import pytest
from cloudops_sagemaker.emulator.identify import model
from cloudops_sagemaker.emulator.patterns import matcher, untranslated
from cloudops_sagemaker.emulator.validation import Invalid, check

REQUEST = {
    "TrainingJobName": "exp-1",
    "RoleArn": "arn:aws:iam::123456789012:role/x",
    "AlgorithmSpecification": {"TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    "StoppingCondition": {},
}


def problems(**changes):
    params = {key: value for key, value in {**REQUEST, **changes}.items() if value is not None}
    with pytest.raises(Invalid) as caught:
        check(model("sagemaker").operation_model("CreateTrainingJob").input_shape, params)
    return caught.value.code, str(caught.value)


def one(text):
    return "ValidationException", f"1 validation error detected: {text}"


def test_what_is_right_passes():
    check(model("sagemaker").operation_model("CreateTrainingJob").input_shape, REQUEST)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"TrainingJobName": "exp_1"},
            "Value 'exp_1' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular expression "
            "pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
        (
            {"RoleArn": None},
            "Value null at 'roleArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"AlgorithmSpecification": {"TrainingInputMode": "Files"}},
            "Value 'Files' at 'algorithmSpecification.trainingInputMode' failed to satisfy constraint: Member must "
            "satisfy enum value set: [Pipe, File, FastFile]",
        ),
        (
            {"AlgorithmSpecification": {"TrainingInputMode": "File", "ContainerArguments": ["x", "y" * 257]}},
            f"Value '{'y' * 257}' at 'algorithmSpecification.containerArguments.2.member' failed to satisfy "
            "constraint: Member must have length less than or equal to 256",
        ),
        (
            {"HyperParameters": {"a": "v" * 2501}},
            f"Value '{{a={'v' * 2501}}}' at 'hyperParameters' failed to satisfy constraint: Map value must satisfy "
            "constraint: [Member must have length less than or equal to 2500]",
        ),
        (
            {"RetryStrategy": {"MaximumRetryAttempts": 31}},
            "Value '31' at 'retryStrategy.maximumRetryAttempts' failed to satisfy constraint: Member must have value "
            "less than or equal to 30",
        ),
        (
            {"InputDataConfig": [{"ChannelName": "a"}]},
            "Value null at 'inputDataConfig.1.member.dataSource' failed to satisfy constraint: Member must not be null",
        ),
    ],
)
def test_a_constraint(changes, text):
    assert problems(**changes) == one(text)


def test_several_at_once():
    _, message = problems(TrainingJobName="x" * 64, RoleArn=None)
    assert message.startswith("3 validation errors detected: Value 'xxx")
    assert "Member must have length less than or equal to 63; " in message
    assert message.endswith("Value null at 'roleArn' failed to satisfy constraint: Member must not be null")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"TrainingJobName": 5}, "NUMBER_VALUE can not be converted to String"),
        ({"EnableManagedSpotTraining": "yes"}, "STRING_VALUE can not be converted to Boolean"),
        ({"RetryStrategy": {"MaximumRetryAttempts": True}}, "TRUE_VALUE can not be converted to Integer"),
        ({"InputDataConfig": {"a": 1}}, "START_OBJECT can not be converted to List"),
        ({"ResourceConfig": []}, "Start of structure or map found where not expected."),
        ({"HyperParameters": {"a": None}}, "NULL_VALUE can not be converted to String"),
    ],
)
def test_a_type(changes, text):
    assert problems(**changes) == ("SerializationException", text)


def test_an_unknown_member():
    code, message = problems(Trainingjobname="x")
    assert code == "ValidationException"
    assert message.startswith("Unknown member 'Trainingjobname' of CreateTrainingJobRequest; it has: AlgorithmSpec")


def test_unicode_classes():
    tag = matcher(r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)")
    assert tag.fullmatch("Größe 日本 1/2")
    assert not tag.fullmatch("a\tb")
    assert not tag.fullmatch("a{b}")


def test_all_patterns_of_the_models_are_checked_but_these():
    patterns = set()
    for service in ("sagemaker", "sagemaker-runtime"):
        shapes = model(service)
        found = (shapes.shape_for(name).metadata.get("pattern") for name in shapes.shape_names)
        patterns |= {pattern for pattern in found if pattern}
    assert len(patterns) > 250
    assert untranslated(sorted(patterns)) == [
        r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*"  # surrogate pairs, which Python's texts have not
    ]


def post(rig, target, body):
    request = urllib.request.Request(rig.url, data=body, method="POST")
    request.add_header("X-Amz-Target", target)
    request.add_header("Host", "api.sagemaker.us-east-1.amazonaws.com")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers


def test_over_the_wire(rig):
    status, body, headers = post(rig, "SageMaker.DescribeTrainingJob", b'{"TrainingJobName": "a_b"}')
    assert (status, body["__type"]) == (400, "ValidationException")
    assert body["message"].startswith("1 validation error detected: Value 'a_b' at 'trainingJobName'")
    assert headers["x-amzn-RequestId"]
    status, body, _ = post(rig, "SageMaker.DescribeTrainingJob", b"{")
    assert (status, body["__type"]) == (400, "SerializationException")
    status, body, _ = post(rig, "SageMaker.NoSuchThing", b"{}")
    assert (status, body["__type"]) == (404, "UnknownOperationException")


def test_an_operation_that_is_not_emulated_says_so(rig):
    code, message = rig.refused("list_hubs")
    assert code == "NotImplemented"
    assert message == "sagemaker:ListHubs is not emulated by the offline cloud; only a live account can answer it"
