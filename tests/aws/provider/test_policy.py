"""The IAM policy covers every call that the code can make, and the page shows it as it is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import cloudops_sagemaker
from botocore import xform_name
from cloudops_sagemaker.policy import CALLS, policy

SOURCES = Path(cloudops_sagemaker.__file__).parent
VALUES = {
    "partition": "aws",
    "account": "123456789012",
    "region": "us-east-1",
    "role": "arn:aws:iam::123456789012:role/cloudops-sagemaker",
    "bucket": "sagemaker-us-east-1-123456789012",
    "prefix": "cloudops",
}
#: Calls that the SDK makes for others: uploads and downloads of large files.
OF_TRANSFERS = {"s3:CreateMultipartUpload", "s3:UploadPart", "s3:CompleteMultipartUpload", "s3:AbortMultipartUpload"}


def methods() -> dict[str, set[str]]:
    """Method of a client, such as ``create_model``, to the calls that it may be."""
    session = botocore.session.get_session()
    found: dict[str, set[str]] = {}
    for service in {call.partition(":")[0] for call in CALLS}:
        for operation in session.get_service_model(service).operation_names:
            found.setdefault(xform_name(operation), set()).add(f"{service}:{operation}")
    return found


def used() -> Iterator[str]:
    """Names of client methods in the source: called, or given to a paginator."""
    for path in SOURCES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_call_in_the_source_is_in_the_table() -> None:
    known = methods()
    called = {name for name in used() if name in known and "_" in name}
    assert len(called) > 30
    missing = {name for name in called if not known[name] & set(CALLS)}
    assert missing == set()


def test_every_call_in_the_table_is_in_the_source() -> None:
    names = set(used())
    unused = [call for call in CALLS if xform_name(call.partition(":")[2]) not in names]
    assert set(unused) - OF_TRANSFERS == set()


def test_the_table_names_operations_that_there_are() -> None:
    session = botocore.session.get_session()
    for call in CALLS:
        service, operation = call.split(":")
        assert operation in session.get_service_model(service).operation_names


def test_a_policy_is_complete_and_for_one_place() -> None:
    text = json.dumps(policy(VALUES))
    assert re.findall(r"\{[a-z]+\}", text) == []
    for need in CALLS.values():
        assert all(action in text for action in need.actions)
    assert "iam:PassRole" in text
    assert "sagemaker:CreateTrainingJob" not in json.dumps(policy(VALUES, of_role=True))
    assert len(text) < 6144, "what a managed policy may hold"


def test_it_is_a_command() -> None:
    command = [sys.executable, "-m", "cloudops_sagemaker.policy", "1" * 12, "cn-north-1", "jobs"]
    done = subprocess.run([*command, "--role"], capture_output=True, text=True, check=True)
    assert "arn:aws-cn:s3:::sagemaker-cn-north-1-111111111111" in done.stdout
    assert subprocess.run(command[:4], capture_output=True, check=False).returncode == 2
