"""Whether the account may have the machines that a run asks for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from cloudops.errors import AuthError, CloudopsError
from cloudops.provider import BatchRequest, CheckResult, DeployRequest

from . import machines
from .errors import translated

if TYPE_CHECKING:
    from cloudops.provider import Request

    from .client import Client


def check(client: Client, requests: Iterable[Request]) -> Iterator[CheckResult]:
    """One result for each kind of machine that the steps need; steps run in turn, so the largest counts."""
    wanted: Counter[str] = Counter()
    for request in requests:
        for name, count in needs(request).items():
            wanted[name] = max(wanted[name], count)
    if not wanted:
        return
    try:
        with translated("look up quotas"):
            known = limits(client, set(wanted))
    except AuthError as error:
        yield CheckResult("quota", True, f"not known: {error.message}")
        return
    except CloudopsError as error:
        yield CheckResult("quota", False, error.message, error.hint or "see docs/sagemaker.md")
        return
    for name, count in sorted(wanted.items()):
        yield _result(name, count, known.get(name))


def _result(name: str, count: int, limit: float | None) -> CheckResult:
    if limit is None:
        return CheckResult("quota", True, f"{name}: AWS lists no limit")
    hint = "ask for more in the Service Quotas console, or choose another instance type"
    return CheckResult("quota", limit >= count, f"{name}: {count} of {limit:g} that the account may have", hint)


def needs(request: Request) -> Mapping[str, int]:
    """The machines of a step by the name of their quota, such as ``ml.m5.large for training job usage``.

    Raises:
        ProviderError: SageMaker has no such machine.
    """
    options = request.options
    override = getattr(options, "instance_type", None)
    if isinstance(request, DeployRequest):
        if getattr(options, "serverless", None):
            return {}
        machine, _ = machines.choose("deploy", request.spec.resources, override, hosting=True)
        return {f"{machine} for endpoint usage": request.spec.max_replicas or request.spec.min_replicas}
    if isinstance(request, BatchRequest):
        machine, _ = machines.choose("batch", request.spec.resources, override, hosting=True)
        return {f"{machine} for transform job usage": getattr(options, "instance_count", 1)}
    resources = request.spec.resources
    machine, _ = machines.choose(request.step, resources, override)
    kind = "spot training job" if resources.use_spot else "training job"
    return {f"{machine} for {kind} usage": resources.num_nodes}


def limits(client: Client, names: set[str]) -> dict[str, float]:
    """The account's limits by name, of those in ``names`` that AWS lists; no more pages are read than they need."""
    found: dict[str, float] = {}
    pages = client.service("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    for page in pages:
        for quota in page["Quotas"]:
            if quota["QuotaName"] in names:
                found[quota["QuotaName"]] = float(quota.get("Value", math.inf))
        if len(found) == len(names):
            break
    return found
