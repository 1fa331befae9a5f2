"""What a trust policy says of SageMaker, and settings that no service could take."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from cloudops_sagemaker import options
from cloudops_sagemaker.check import trusts
from cloudops_sagemaker.predicting import reason

IT_DEPENDS = ", where the conditions of its trust policy hold"


def statement(**changed: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
        **changed,
    }


CONDITION = {"StringEquals": {"aws:SourceAccount": "123456789012"}}


@pytest.mark.parametrize(
    ("statements", "trust"),
    [
        ([statement()], ""),
        ([statement(Principal={"Service": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]})], ""),
        ([statement(Principal="*"), statement(Action="sts:TagSession")], ""),
        ([statement(Action=["sts:*"])], ""),
        ([statement(Principal={"AWS": "*"})], None),
        ([statement(Action="sts:TagSession")], None),
        ([statement(Principal={"Service": "ec2.amazonaws.com"})], None),
        ([statement(Principal={"AWS": "arn:aws:iam::123456789012:root"})], None),
        ([statement(), statement(Effect="Deny", Principal="*", Action="*")], None),
        ([statement(Condition=CONDITION)], IT_DEPENDS),
        ([statement(), statement(Effect="Deny", Condition=CONDITION)], IT_DEPENDS),
        ([statement(), statement(Condition=CONDITION)], ""),
        ([], None),
    ],
)
def test_a_role_is_trusted_by_what_its_policy_says(statements: list[dict[str, Any]], trust: str | None) -> None:
    assert trusts({"Statement": statements}) == trust
    if len(statements) == 1:
        assert trusts({"Statement": statements[0]}) == trust


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        (options.SageMakerDeployOptions, {"error_rate": "100%"}, "expected error_rate of less than 100%"),
        (options.SageMakerDeployOptions, {"instance_type": "m5.large"}, "an instance type such as ml.m5.xlarge"),
        (options.SageMakerTarget, {"region": "Frankfurt"}, "expected a region such as eu-west-1"),
        (options.SageMakerTarget, {"bucket": "s3://mine"}, "the name of a bucket, without s3://"),
        (options.Serverless, {"provisioned_concurrency": 6}, "at most max_concurrency, 5"),
        (options.SageMakerJobOptions, {"metric_definitions": {"loss": "("}}, r"a regular expression \(missing \)"),
        (options.SageMakerJobOptions, {"metric_definitions": {"loss": "loss="}}, "with a group around the number"),
    ],
)
def test_what_the_service_would_refuse_late_is_refused_early(kind: Any, given: dict[str, Any], text: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=text):
        kind(**given)


def test_an_error_rate_is_a_percentage_as_every_share() -> None:
    assert options.SageMakerDeployOptions(error_rate="2.5%").error_rate == 0.025  # type: ignore[arg-type]


def test_what_the_model_said_comes_without_its_traceback_whatever_is_between() -> None:
    said = "KeyError: 'x'{}Traceback (most recent call last):{}  File"
    assert reason(said.format("\n", "\n")) == reason(said.format(" ", " ")) == "KeyError: 'x'"
