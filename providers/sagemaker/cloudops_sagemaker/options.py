"""What can be set for SageMaker only."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from cloudops.specs import Duration, Share, Strict, Text, matching


def _is_regex(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"expected a regular expression ({error})") from None
    if groups < 1:
        raise ValueError("expected a regular expression with a group around the number, such as loss=([0-9.]+)")
    return text


_Region = Annotated[str, *matching(r"[a-z]{2}(-[a-z]+)+-[0-9]", "a region such as eu-west-1")]
_Bucket = Annotated[str, *matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket, without s3://")]
_Machine = Annotated[str, *matching(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "an instance type such as ml.m5.xlarge")]
_Regex = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_is_regex)]


class SageMakerTarget(Strict):
    """The settings of a target with ``provider: sagemaker``."""

    region: _Region | None = Field(None, description="By default what the AWS tools' own settings say")
    profile: Text | None = Field(None, description="A profile of the AWS configuration; by default their own choice")
    role: Text | None = Field(
        None, description="Name or ARN of the role of jobs and endpoints; by default cloudops-sagemaker"
    )
    bucket: _Bucket | None = Field(
        None, description="For artifacts; sagemaker-<region>-<account> by default, as the SDK's"
    )
    prefix: str = Field("cloudops", pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", description="Within the bucket")
    subnets: list[Text] = Field([], max_length=16, description="A VPC's subnets for jobs and endpoints")
    security_group_ids: list[Text] = Field([], max_length=5, description="Of the same VPC; together with subnets")
    volume_kms_key: Text | None = Field(None, description="Key for the disks of jobs and endpoints")
    output_kms_key: Text | None = Field(None, description="Key for what jobs write, and for captured requests")
    encrypt_traffic: bool = Field(False, description="Encrypt what the nodes of one job send to each other")
    tags: dict[Text, str] = Field({}, max_length=30, description="On everything that is created, beside cloudops' own")

    @model_validator(mode="after")
    def _vpc(self) -> SageMakerTarget:
        if bool(self.subnets) != bool(self.security_group_ids):
            raise ValueError("expected subnets and security_group_ids together")
        return self

    @model_validator(mode="after")
    def _own_tags(self) -> SageMakerTarget:
        for key in self.tags:
            if key.lower().startswith(("aws:", "cloudops:")):
                raise ValueError(f"expected another name for the tag {key}: aws: and cloudops: are reserved")
        return self


class SageMakerJobOptions(Strict):
    """``overrides.sagemaker.prepare``, ``.train``, ``.evaluate`` and ``.batch``."""

    instance_type: _Machine | None = Field(None, description="Such as ml.m5.xlarge, over resources")
    input_mode: Literal["File", "FastFile"] = Field("File", description="Copy inputs first, or stream them as read")
    max_wait: Duration | None = Field(None, description="With use_spot: the longest to wait for machines and run")
    keep_alive: Duration | None = Field(None, ge=1, le=3600, description="Keep the machines this long for a next job")
    metric_definitions: dict[Text, _Regex] = Field(
        {}, max_length=40, description="Metric to a regular expression with one group, for CloudWatch"
    )


class SageMakerBatchOptions(Strict):
    """``overrides.sagemaker.batch``."""

    instance_type: _Machine | None = Field(None, description="Such as ml.m5.xlarge, over resources")
    instance_count: int = Field(1, ge=1, le=100, description="Machines that share the files of the table")


class Serverless(Strict):
    """An endpoint without machines of its own."""

    memory: Literal[1024, 2048, 3072, 4096, 5120, 6144] = Field(2048, description="Megabytes for each request's model")
    max_concurrency: int = Field(5, ge=1, le=200, description="Requests at the same time")
    provisioned_concurrency: int | None = Field(None, ge=1, le=200, description="Kept warm, and paid for")

    @model_validator(mode="after")
    def _no_more_warm_than_there_may_be(self) -> Serverless:
        if (self.provisioned_concurrency or 0) > self.max_concurrency:
            raise ValueError(f"expected provisioned_concurrency of at most max_concurrency, {self.max_concurrency}")
        return self


class Asynchronous(Strict):
    """An endpoint whose requests wait in a queue: up to 1 GB each, and up to an hour."""

    max_concurrency: int | None = Field(None, ge=1, le=1000, description="Requests at once in one replica")
    target_backlog: float = Field(5.0, gt=0, description="Waiting requests per replica above which one is added")


class SageMakerDeployOptions(Strict):
    """``overrides.sagemaker.deploy``."""

    instance_type: _Machine | None = Field(None, description="Such as ml.m5.large, over resources")
    serverless: Serverless | None = Field(None, description="No machines of its own: memory and concurrency instead")
    asynchronous: Asynchronous | None = Field(None, description="Requests wait in a queue, and may be large and long")
    target_invocations: float = Field(
        600.0, gt=0, description="Requests per minute and replica above which one is added"
    )
    scale_in_cooldown: Duration = Field(300.0, ge=0, le=3600, description="Between two removals of replicas")
    scale_out_cooldown: Duration = Field(60.0, ge=0, le=3600, description="Between two additions of replicas")
    error_rate: Share = Field(
        0.05,
        description="Share of failed requests over which a canary is undone",
        json_schema_extra={"default": "5%"},
    )
    download_timeout: Duration | None = Field(None, ge=60, le=3600, description="The longest to copy a model")

    @model_validator(mode="after")
    def _exclusive(self) -> SageMakerDeployOptions:
        if self.serverless is not None and (self.instance_type is not None or self.asynchronous is not None):
            raise ValueError("expected serverless alone, without instance_type and asynchronous")
        if self.error_rate >= 1:
            raise ValueError("expected error_rate of less than 100%: a canary is undone when more requests fail")
        return self


class SageMakerOverrides(Strict):
    """``overrides.sagemaker``."""

    prepare: SageMakerJobOptions | None = None
    train: SageMakerJobOptions | None = None
    evaluate: SageMakerJobOptions | None = None
    batch: SageMakerBatchOptions | None = None
    deploy: SageMakerDeployOptions | None = None
