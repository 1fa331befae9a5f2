"""Pure functions: what SageMaker says of an endpoint, in the common words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudops.refs import Phase, Status

from .serving import ConfigName, version_of
from .statuses import seconds

_PHASES = {
    "Creating": Phase.STARTING,
    "InService": Phase.READY,
    "Updating": Phase.UPDATING,
    "SystemUpdating": Phase.UPDATING,
    "RollingBack": Phase.UPDATING,
    "Deleting": Phase.DELETING,
    "Failed": Phase.FAILED,
    "OutOfService": Phase.FAILED,
    "UpdateRollbackFailed": Phase.FAILED,
}


def phase_of(status: str) -> Phase:
    """The phase of an endpoint; a state that is not known is UNKNOWN."""
    return _PHASES.get(status, Phase.UNKNOWN)


def endpoint_status(described: Mapping[str, Any], region: str, *, refused: str = "", reason: str = "") -> Status:
    """Where an endpoint stands.

    Args:
        described: the answer of DescribeEndpoint.
        region: of its URL.
        refused: the version of the last deployment, where it was rolled back.
        reason: why, where more is known than ``described`` tells.
    """
    status = str(described.get("EndpointStatus", ""))
    phase = phase_of(status)
    shares = traffic(described) if phase in (Phase.READY, Phase.UPDATING) else {}
    name = described["EndpointName"]
    return Status(
        phase=phase,
        reason=reason or " ".join(str(described.get("FailureReason", "")).split()),
        native=status,
        created=seconds(described.get("CreationTime")),
        traffic=shares,
        url=f"https://runtime.sagemaker.{region}.amazonaws.com/endpoints/{name}/invocations",
        refused=refused,
        details={"versions": _versions(described, shares)},
    )


def live(described: Mapping[str, Any]) -> ConfigName:
    """The configuration that serves."""
    return ConfigName.parse(str(described.get("EndpointConfigName", "")))


def wanted(described: Mapping[str, Any]) -> ConfigName:
    """The configuration that serves, or that is to serve once the update is done."""
    pending = described.get("PendingDeploymentSummary") or {}
    return ConfigName.parse(str(pending.get("EndpointConfigName") or described.get("EndpointConfigName", "")))


def longest(described: Mapping[str, Any]) -> float:
    """Seconds that the last update of an endpoint may take; 0 where that is not told."""
    policy = (described.get("LastDeploymentConfig") or {}).get("BlueGreenUpdatePolicy", {})
    return float(policy.get("MaximumExecutionTimeoutInSeconds", 0))


def traffic(described: Mapping[str, Any]) -> dict[str, float]:
    """The share of each version in percent; during a canary that of the new version, too."""
    shares = _shares(described.get("ProductionVariants", ()), live(described))
    pending = described.get("PendingDeploymentSummary")
    part = _canary(described, pending) if pending else 0.0
    if not part or pending is None:
        return shares
    new = _shares(pending.get("ProductionVariants", ()), ConfigName.parse(pending["EndpointConfigName"]))
    mixed = {version: round(share * (1 - part), 6) for version, share in shares.items()}
    for version, share in new.items():
        mixed[version] = round(mixed.get(version, 0.0) + share * part, 6)
    return {version: share for version, share in mixed.items() if share}


def _shares(variants: Sequence[Mapping[str, Any]], config: ConfigName) -> dict[str, float]:
    weights: dict[str, float] = {}
    for variant in variants:
        version = version_of(variant["VariantName"], config)
        weights[version] = weights.get(version, 0.0) + float(variant.get("CurrentWeight") or 0.0)
    total = sum(weights.values())
    if not total:
        return {}
    return {version: round(100 * weight / total, 6) for version, weight in weights.items() if version and weight}


def _canary(described: Mapping[str, Any], pending: Mapping[str, Any]) -> float:
    """The part of the traffic that has moved: that of the canary while it is watched."""
    states = {
        state.get("Status")
        for variant in pending.get("ProductionVariants", ())
        for state in variant.get("VariantStatus", ())
    }
    if not states & {"Baking", "ActivatingTraffic"}:
        return 0.0
    policy = (described.get("LastDeploymentConfig") or {}).get("BlueGreenUpdatePolicy", {})
    size = policy.get("TrafficRoutingConfiguration", {}).get("CanarySize", {})
    return float(size.get("Value", 0)) / 100 if size.get("Type") == "CAPACITY_PERCENT" else 0.0


def _versions(described: Mapping[str, Any], shares: Mapping[str, float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pending = described.get("PendingDeploymentSummary") or {}
    sides = (
        (described.get("ProductionVariants", ()), live(described)),
        (pending.get("ProductionVariants", ()), ConfigName.parse(str(pending.get("EndpointConfigName", "")))),
    )
    for variants, config in sides:
        for variant in variants:
            version = version_of(variant["VariantName"], config)
            states = [str(state.get("Status", "")) for state in variant.get("VariantStatus", ())]
            found[version] = {
                "state": states[-1] if states else "",
                "traffic": shares.get(version, 0.0),
                "replicas": variant.get("CurrentInstanceCount"),
            }
    return found
