"""Pure functions: what Vertex AI says of an endpoint, in the common words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudops.refs import Phase, Status

from .registry import version_of
from .rollout import Rollout
from .statuses import seconds


def endpoint_id(described: Mapping[str, Any]) -> str:
    """The id of a described endpoint."""
    return str(described["name"]).rpartition("/")[2]


def versions(described: Mapping[str, Any]) -> dict[str, str]:
    """The ids of what is deployed, and which versions that is; without what cloudops did not deploy."""
    endpoint = endpoint_id(described)
    found = {str(one["id"]): version_of(one, endpoint) for one in described.get("deployedModels", ())}
    return {deployed: version for deployed, version in found.items() if version}


def traffic(described: Mapping[str, Any]) -> dict[str, int]:
    """The share of each version in percent, without those that get nothing."""
    known, found = versions(described), dict[str, int]()
    for deployed, share in described.get("trafficSplit", {}).items():
        if share and deployed in known:
            found[known[deployed]] = found.get(known[deployed], 0) + int(share)
    return found


def phase_of(described: Mapping[str, Any]) -> Phase:
    """The phase of an endpoint, by what it keeps of its rollout and what has traffic."""
    rollout = Rollout.of(described)
    if rollout.wanted:
        return Phase.UPDATING if rollout.live else Phase.STARTING
    return Phase.READY if traffic(described) else Phase.FAILED


def endpoint_status(described: Mapping[str, Any], url: str) -> Status:
    """Where an endpoint stands.

    Args:
        described: an Endpoint, in the notation of the REST API.
        url: where it answers.
    """
    rollout, shares, phase = Rollout.of(described), traffic(described), phase_of(described)
    return Status(
        phase=phase,
        reason=_reason(rollout, phase, shares),
        native=_native(rollout, shares),
        created=seconds(described.get("createTime")),
        traffic={version: float(share) for version, share in shares.items()},
        url=url,
        refused=rollout.refused if rollout.live else "",
        details=_details(described, rollout, shares),
    )


def _reason(rollout: Rollout, phase: Phase, shares: Mapping[str, int]) -> str:
    if rollout.refused or rollout.reason:
        return rollout.reason
    if phase is Phase.FAILED:
        return "nothing is deployed to it: deploy again"
    if rollout.wanted in shares and rollout.first != rollout.goal:
        return f"{rollout.wanted} gets {shares[rollout.wanted]} % of the traffic and is watched for a while"
    return ""


def _native(rollout: Rollout, shares: Mapping[str, int]) -> str:
    """Vertex AI has no word for the state of an endpoint; these say what goes on."""
    if rollout.wanted:
        return "BAKING" if rollout.wanted in shares else "DEPLOYING"
    return "DEPLOYED" if shares else "EMPTY"


def _details(described: Mapping[str, Any], rollout: Rollout, shares: Mapping[str, int]) -> dict[str, Any]:
    known = versions(described)
    found: dict[str, Any] = {}
    for one in described.get("deployedModels", ()):
        version = known.get(str(one["id"]))
        if version is not None:
            resources = one.get("dedicatedResources", {})
            found[version] = {
                "deployed_model": one["id"],
                "traffic": shares.get(version, 0),
                "machine_type": resources.get("machineSpec", {}).get("machineType"),
                "min_replicas": resources.get("minReplicaCount"),
                "max_replicas": resources.get("maxReplicaCount"),
            }
    told: dict[str, Any] = {"versions": found}
    if rollout.before:
        told["before"] = rollout.before
    connect = described.get("privateServiceConnectConfig", {}).get("serviceAttachment")
    return {**told, "service_attachment": connect} if connect else told
