"""``cloudops check``: whether a run would work. Creates nothing."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cloudops.errors import AuthError, CloudopsError, InvalidRequest
from cloudops.provider import CheckResult

from . import images, machines, quotas
from .errors import BUCKET, translated
from .storage import Storage

if TYPE_CHECKING:
    from cloudops.provider import Request

    from .client import Client

_TRUST = "sagemaker.amazonaws.com"


def check(client: Client, requests: Iterable[Request]) -> list[CheckResult]:
    """Region, credentials, role, bucket, images, quotas; each in turn, for the later need the earlier."""
    results = []
    for name, look in (
        ("region", lambda: _region(client)),
        ("credentials", lambda: f"{client.identity['Arn']} of account {client.account}"),
    ):
        results.append(_looked(name, look))
        if not results[-1].ok:
            return results
    results.append(_looked("role", lambda: _role(client)))
    results.append(_looked("bucket", lambda: _bucket(client)))
    results.append(_looked("jobs", lambda: _jobs(client)))
    results.append(_looked("images", lambda: _images(client)))
    return [*results, *quotas.check(client, requests)] if all(result.ok for result in results) else results


def _looked(name: str, look: Callable[[], str]) -> CheckResult:
    try:
        with translated("check"):
            return CheckResult(name, True, look())
    except CloudopsError as error:
        return CheckResult(name, False, error.message, error.hint or "see docs/sagemaker.md")


def _region(client: Client) -> str:
    import difflib

    import botocore.session

    session = botocore.session.Session()
    known = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("sagemaker", partition)
    ]
    if client.region not in known:
        near = difflib.get_close_matches(client.region, known, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else "a newer botocore may know it: pip install -U botocore"
        text = f"the installed botocore knows no region {client.region!r} with SageMaker"
        raise InvalidRequest(text, provider="sagemaker", hint=hint)
    return client.region


def _role(client: Client) -> str:
    arn = client.role
    name = arn.rpartition("/")[2]
    account = arn.split(":")[4]
    if account != client.account:
        hint = f"name a role of the account {client.account}"
        text = f"the role {arn} is of another account, and SageMaker takes roles of the caller's own"
        raise InvalidRequest(text, provider="sagemaker", hint=hint)
    try:
        with translated("look up the role", arn):
            role: dict[str, Any] = client.service("iam").get_role(RoleName=name)["Role"]
    except AuthError as error:
        if client.settings.role == arn:  # an ARN works without; only its trust is not known
            return f"{arn} (whether it trusts {_TRUST} cannot be seen: {error.code})"
        raise
    trust = trusts(role.get("AssumeRolePolicyDocument", {}))
    if trust is None:
        hint = f"add {_TRUST} with the action sts:AssumeRole to its trust policy"
        raise AuthError(f"the role {arn} does not let {_TRUST} assume it", provider="sagemaker", hint=hint)
    return f"{arn} trusts {_TRUST}{trust}"


def trusts(document: Any) -> str | None:
    """Whether a trust policy lets SageMaker assume the role: None where not, else on what that depends, or ""."""
    policy = json.loads(unquote(document)) if isinstance(document, str) else document
    statements = [each for each in _list(policy.get("Statement", [])) if _is_about_us(each)]
    if any(each.get("Effect") == "Deny" and not each.get("Condition") for each in statements):
        return None
    conditions = [each.get("Condition") for each in statements if each.get("Effect") == "Allow"]
    if not conditions:
        return None
    if all(conditions) or any(each.get("Effect") == "Deny" for each in statements):
        return ", where the conditions of its trust policy hold"
    return ""


def _is_about_us(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    services = ["*"] if principal == "*" else _list(principal.get("Service", []) if isinstance(principal, dict) else [])
    actions = [str(action).lower() for action in _list(statement.get("Action", []))]
    assumes = any(fnmatch.fnmatchcase("sts:assumerole", action) for action in actions)
    return assumes and not {_TRUST, "*"}.isdisjoint(services)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _bucket(client: Client) -> str:
    storage = Storage(client)
    if not storage.has_bucket(client.bucket):
        return f"{client.bucket} will be created by the first run"
    region = storage.region(client.bucket)
    if region and region != client.region:
        text = f"the bucket {client.bucket} is in {region}, and SageMaker in {client.region} reads no other region's"
        raise InvalidRequest(text, provider="sagemaker", hint=BUCKET)
    return f"{client.bucket} is there"


def _jobs(client: Client) -> str:
    client.sagemaker.list_training_jobs(MaxResults=1)
    return f"SageMaker answers in {client.region}"


def _images(client: Client) -> str:
    images.choose("check", None, None, client.region, machines.DEFAULT)
    return f"the table of SageMaker's images is installed, and knows {client.region}"
