"""Service Quotas, as far as SageMaker's instances go: the limits that this emulator keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .instances import LIMIT, instance
from .operations import ServiceError

_USES = ("training job", "spot training job", "endpoint", "transform job")
_PAGE = 100


def answer(operation: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer of one of the service's operations.

    Raises:
        NotImplementedError: it is none of those emulated.
        ServiceError: the service is not SageMaker.
    """
    if operation not in ("ListServiceQuotas", "ListAWSDefaultServiceQuotas"):
        raise NotImplementedError
    if params.get("ServiceCode") != "sagemaker":
        raise ServiceError(
            "NoSuchResourceException", "The request failed because the specified service does not exist."
        )
    quotas = _quotas()
    try:
        start, size = int(params.get("NextToken") or 0), int(params.get("MaxResults") or _PAGE)
    except ValueError:
        raise ServiceError("InvalidPaginationTokenException", "Invalid input was provided.") from None
    page = {"Quotas": quotas[start : start + size]}
    return page if start + size >= len(quotas) else {**page, "NextToken": str(start + size)}


def _quotas() -> list[dict[str, Any]]:
    return [
        {
            "ServiceCode": "sagemaker",
            "ServiceName": "Amazon SageMaker",
            "QuotaName": f"{name} for {use} usage",
            "Value": float(LIMIT if instance(name) else 0),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
        for name in _types()
        for use in _USES
    ]


def _types() -> list[str]:
    from .identify import model

    return list(model("sagemaker").shape_for("TrainingInstanceType").enum)
