"""The permissions that cloudops needs, from one table of the calls that it makes.

``python -m cloudops_sagemaker.policy ACCOUNT REGION ROLE [BUCKET] [PREFIX]`` prints the policy of whoever runs
cloudops; with ``--role`` that of the role that jobs and endpoints run with.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_JOB = "arn:{partition}:sagemaker:{region}:{account}:training-job/*"
_BATCH = "arn:{partition}:sagemaker:{region}:{account}:transform-job/*"
_MODEL = "arn:{partition}:sagemaker:{region}:{account}:model/*"
_CONFIG = "arn:{partition}:sagemaker:{region}:{account}:endpoint-config/*"
_ENDPOINT = "arn:{partition}:sagemaker:{region}:{account}:endpoint/*"
_BUCKET = "arn:{partition}:s3:::{bucket}"
_OBJECTS = "arn:{partition}:s3:::{bucket}/{prefix}/*"
_ROLE = "{role}"
_SECRET = "arn:{partition}:secretsmanager:{region}:{account}:secret:cloudops/*"
_LOGS = "arn:{partition}:logs:{region}:{account}:log-group:/aws/sagemaker/*"
_ALARM = "arn:{partition}:cloudwatch:{region}:{account}:alarm:cloudops-*"
_SCALING_ROLE = (
    "arn:{partition}:iam::{account}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Need:
    """What one call needs.

    Args:
        actions: of IAM, the first of them the call's own.
        resources: patterns of ARNs.
        optional: what goes without it, for what is needed only sometimes; empty where it is always needed.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    optional: str = ""


def _need(actions: str, *resources: str, optional: str = "") -> Need:
    return Need(tuple(actions.split()), resources, optional)


#: ``service:Operation`` of a call to what it needs. The tests hold it against the calls that are made.
CALLS: Mapping[str, Need] = {
    "sts:GetCallerIdentity": _need("sts:GetCallerIdentity", _ANY),
    "iam:GetRole": _need("iam:GetRole", _ROLE, optional="a role given by its name, and `cloudops check`"),
    "s3:HeadBucket": _need("s3:ListBucket", _BUCKET),
    "s3:ListObjectsV2": _need("s3:ListBucket", _BUCKET),
    "s3:CreateBucket": _need("s3:CreateBucket", _BUCKET, optional="a bucket that is there already"),
    "s3:PutPublicAccessBlock": _need(
        "s3:PutBucketPublicAccessBlock", _BUCKET, optional="a bucket that is there already"
    ),
    "s3:PutObject": _need("s3:PutObject", _OBJECTS),
    "s3:CreateMultipartUpload": _need("s3:PutObject", _OBJECTS),
    "s3:UploadPart": _need("s3:PutObject", _OBJECTS),
    "s3:UploadPartCopy": _need("s3:PutObject s3:GetObject", _OBJECTS),
    "s3:CompleteMultipartUpload": _need("s3:PutObject", _OBJECTS),
    "s3:AbortMultipartUpload": _need("s3:AbortMultipartUpload", _OBJECTS),
    "s3:GetObject": _need("s3:GetObject", _OBJECTS),
    "s3:HeadObject": _need("s3:GetObject", _OBJECTS),
    "s3:DeleteObjects": _need("s3:DeleteObject", _OBJECTS),
    "sagemaker:CreateTrainingJob": _need("sagemaker:CreateTrainingJob sagemaker:AddTags", _JOB),
    "sagemaker:DescribeTrainingJob": _need("sagemaker:DescribeTrainingJob", _JOB),
    "sagemaker:ListTrainingJobs": _need("sagemaker:ListTrainingJobs", _ANY),
    "sagemaker:StopTrainingJob": _need("sagemaker:StopTrainingJob", _JOB),
    "sagemaker:UpdateTrainingJob": _need(
        "sagemaker:UpdateTrainingJob", _JOB, optional="`cloudops down` for jobs with `keep_alive`"
    ),
    "sagemaker:DeleteTrainingJob": _need("sagemaker:DeleteTrainingJob", _JOB),
    "sagemaker:CreateTransformJob": _need("sagemaker:CreateTransformJob sagemaker:AddTags", _BATCH, _MODEL),
    "sagemaker:DescribeTransformJob": _need("sagemaker:DescribeTransformJob", _BATCH),
    "sagemaker:ListTransformJobs": _need("sagemaker:ListTransformJobs", _ANY),
    "sagemaker:StopTransformJob": _need("sagemaker:StopTransformJob", _BATCH),
    "sagemaker:ListTags": _need("sagemaker:ListTags", _ENDPOINT, _CONFIG, _JOB),
    "sagemaker:CreateModel": _need("sagemaker:CreateModel sagemaker:AddTags", _MODEL),
    "sagemaker:DescribeModel": _need("sagemaker:DescribeModel", _MODEL),
    "sagemaker:DeleteModel": _need("sagemaker:DeleteModel", _MODEL),
    "sagemaker:CreateEndpointConfig": _need("sagemaker:CreateEndpointConfig sagemaker:AddTags", _CONFIG),
    "sagemaker:DescribeEndpointConfig": _need("sagemaker:DescribeEndpointConfig", _CONFIG),
    "sagemaker:ListEndpointConfigs": _need("sagemaker:ListEndpointConfigs", _ANY),
    "sagemaker:ListModels": _need("sagemaker:ListModels", _ANY),
    "sagemaker:DeleteEndpointConfig": _need("sagemaker:DeleteEndpointConfig", _CONFIG),
    "sagemaker:CreateEndpoint": _need("sagemaker:CreateEndpoint sagemaker:AddTags", _ENDPOINT, _CONFIG),
    "sagemaker:DescribeEndpoint": _need("sagemaker:DescribeEndpoint", _ENDPOINT),
    "sagemaker:UpdateEndpoint": _need("sagemaker:UpdateEndpoint", _ENDPOINT, _CONFIG),
    "sagemaker:UpdateEndpointWeightsAndCapacities": _need("sagemaker:UpdateEndpointWeightsAndCapacities", _ENDPOINT),
    "sagemaker:DeleteEndpoint": _need("sagemaker:DeleteEndpoint", _ENDPOINT),
    "sagemaker:ListEndpoints": _need("sagemaker:ListEndpoints", _ANY),
    "sagemaker-runtime:InvokeEndpoint": _need("sagemaker:InvokeEndpoint", _ENDPOINT),
    "sagemaker-runtime:InvokeEndpointAsync": _need(
        "sagemaker:InvokeEndpointAsync", _ENDPOINT, optional="asynchronous endpoints"
    ),
    "secretsmanager:CreateSecret": _need(
        "secretsmanager:CreateSecret secretsmanager:TagResource", _SECRET, optional="steps without secrets"
    ),
    "secretsmanager:PutSecretValue": _need("secretsmanager:PutSecretValue", _SECRET, optional="steps without secrets"),
    "secretsmanager:DeleteSecret": _need("secretsmanager:DeleteSecret", _SECRET, optional="steps without secrets"),
    "logs:DescribeLogStreams": _need("logs:DescribeLogStreams", _LOGS),
    "logs:GetLogEvents": _need("logs:GetLogEvents", _LOGS),
    "logs:FilterLogEvents": _need("logs:FilterLogEvents", _LOGS),
    "logs:DeleteLogGroup": _need("logs:DeleteLogGroup", _LOGS),
    "logs:DeleteLogStream": _need("logs:DeleteLogStream", _LOGS),
    "service-quotas:ListServiceQuotas": _need(
        "servicequotas:ListServiceQuotas", _ANY, optional="`cloudops check` then knows no quotas"
    ),
    "cloudwatch:GetMetricData": _need("cloudwatch:GetMetricData", _ANY),
    "cloudwatch:PutMetricAlarm": _need("cloudwatch:PutMetricAlarm", _ALARM, optional="deployments without a canary"),
    "cloudwatch:DeleteAlarms": _need("cloudwatch:DeleteAlarms", _ALARM),
    "application-autoscaling:RegisterScalableTarget": _need(
        "application-autoscaling:RegisterScalableTarget iam:CreateServiceLinkedRole",
        _ANY,
        _SCALING_ROLE,
        optional="endpoints without max_replicas",
    ),
    "application-autoscaling:PutScalingPolicy": _need(
        "application-autoscaling:PutScalingPolicy", _ANY, optional="endpoints without max_replicas"
    ),
    "application-autoscaling:DescribeScalableTargets": _need("application-autoscaling:DescribeScalableTargets", _ANY),
    "application-autoscaling:DescribeScalingPolicies": _need("application-autoscaling:DescribeScalingPolicies", _ANY),
    "application-autoscaling:DeregisterScalableTarget": _need(
        "application-autoscaling:DeregisterScalableTarget", _ANY, optional="endpoints without max_replicas"
    ),
}

#: What the role of jobs and endpoints needs, beside the trust of ``sagemaker.amazonaws.com``.
ROLE: Sequence[Need] = (
    _need("s3:GetObject s3:PutObject", _OBJECTS),
    _need("s3:ListBucket", _BUCKET),
    _need("logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents logs:DescribeLogStreams", _LOGS),
    _need("cloudwatch:PutMetricData cloudwatch:DescribeAlarms", _ANY),
    _need(
        "ecr:GetAuthorizationToken ecr:BatchGetImage ecr:GetDownloadUrlForLayer ecr:BatchCheckLayerAvailability", _ANY
    ),
    _need("secretsmanager:GetSecretValue", _SECRET, optional="steps without secrets"),
)


def action(operation: str) -> str:
    """The permission that ``operation``, such as ``CreateTrainingJob``, needs; empty where it is not known."""
    found = (need.actions[0] for call, need in CALLS.items() if call.partition(":")[2] == operation)
    return next(found, "")


def policy(values: Mapping[str, str], *, of_role: bool = False) -> dict[str, Any]:
    """The policy document of whoever runs cloudops, or ``of_role`` that of the role.

    Args:
        values: ``partition``, ``account``, ``region``, ``role`` (an ARN), ``bucket``, ``prefix``.
        of_role: see above.
    """
    by_resources: dict[tuple[str, ...], set[str]] = {}
    for need in ROLE if of_role else CALLS.values():
        resources = tuple(sorted({resource.format(**values) for resource in need.resources}))
        by_resources.setdefault(resources, set()).update(need.actions)
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
        for resources, actions in sorted(by_resources.items())
    ]
    if not of_role:
        service = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        passing = {"Effect": "Allow", "Action": ["iam:PassRole"], "Resource": [values["role"]], "Condition": service}
        statements.append(passing)
    return {"Version": "2012-10-17", "Statement": statements}


def main(arguments: Sequence[str]) -> int:
    """Print a policy; see the module's docstring."""
    words = [word for word in arguments if word != "--role"]
    if not 3 <= len(words) <= 5:
        print(__doc__, file=sys.stderr)  # noqa: T201 - a program of its own
        return 2
    account, region, role = words[:3]
    values = {
        "partition": "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws",
        "account": account,
        "region": region,
        "bucket": words[3] if len(words) > 3 else f"sagemaker-{region}-{account}",
        "prefix": words[4] if len(words) > 4 else "cloudops",
    }
    values["role"] = role if role.startswith("arn:") else f"arn:{values['partition']}:iam::{account}:role/{role}"
    print(json.dumps(policy(values, of_role="--role" in arguments), indent=2))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
