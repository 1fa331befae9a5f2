"""Application Auto Scaling for endpoints and inference components, over moto's targets and policies.

A target tracking policy has the two alarms that the service makes for it (above the target for three minutes, well
below it for fifteen), a step scaling policy those that name it in their actions. While one is in ALARM and no cooldown
holds, the number of instances changes within its bounds.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import alarms, component_operations, endpoints
from .cloudwatch_store import Store
from .operations import ServiceError
from .scaling_policies import bounded, stepped, tracked

if TYPE_CHECKING:
    from .region import Region

_NAME = __name__
_COOLDOWN = 300.0
VARIANT = "sagemaker:variant:DesiredInstanceCount"
COMPONENT = "sagemaker:inference-component:DesiredCopyCount"


def follow(region: Region) -> None:
    """Scale what has targets in ``region`` whenever alarms were evaluated."""
    with region.lock:
        if _NAME not in region.attached:
            region.attached[_NAME] = scaler = Scaler(region)
            alarms.board(region).followers.append(scaler.step)


def scaler_of(region: Region) -> Scaler:
    """What scales in a region."""
    follow(region)
    found: Scaler = region.attached[_NAME]
    return found


class Scaler:
    """Changes numbers of instances; ``activities`` are the newest first."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self.activities: list[dict[str, Any]] = []
        self._last: dict[tuple[str, str], tuple[float, str]] = {}

    def end(self) -> None:
        """Nothing runs here."""

    def step(self, now: float) -> None:
        """Do what the policies ask for at ``now``."""
        for target in self.targets():
            try:
                self._step(target, now)
            except ServiceError as error:  # the endpoint is just being changed or deleted
                self._note(target, now, "Failed", f"could not scale {target.resource_id}", error.message)

    def targets(self) -> list[Any]:
        """The scalable targets of SageMaker."""
        found = [one for by_id in self._backend().targets.values() for one in by_id.values()]
        return [one for one in found if one.service_namespace == "sagemaker"]

    def apply_bounds(self, target: Any) -> None:
        """Bring a target that was just registered within its bounds."""
        current = self._current(target)
        wanted = None if current is None else bounded(target, current)
        if current is not None and wanted is not None and wanted != current:
            self._set(target, current, wanted, self._region.clock.now(), "the bounds of the scalable target")

    def _step(self, target: Any, now: float) -> None:
        current = self._current(target)
        if current is None:
            return
        wishes = [wish for policy in self._policies(target) if (wish := self._wish(target, policy, current, now))]
        if not wishes:
            return
        # Of several policies the one that wants most decides, as on the service.
        wanted, cause = max(wishes)
        wanted = bounded(target, wanted)
        suspended = target.suspended_state or {}
        key = "DynamicScalingOutSuspended" if wanted > current else "DynamicScalingInSuspended"
        if wanted != current and not suspended.get(key):
            self._set(target, current, wanted, now, cause)

    def _wish(self, target: Any, policy: Any, current: int, now: float) -> tuple[int, str] | None:
        board = alarms.board(self._region)
        for alarm in list(board.backend.alarms.values()):
            if (
                alarm.state_value != "ALARM"
                or policy.policy_arn not in alarm.alarm_actions
                or not alarm.actions_enabled
            ):
                continue
            kept = board.backend.__dict__.get("_cloudops_store") or Store()
            known = [point for point in alarms.datapoints(kept, alarm, now) if point is not None]
            value = known[-1] if known else float(alarm.threshold)
            wanted = self._wanted(policy, alarm, value, current)
            direction = "out" if wanted > current else "in"
            if wanted != current and not self._cooling(target, policy, direction, now):
                return wanted, f"monitor alarm {alarm.name} in state ALARM triggered policy {policy.policy_name}"
        return None

    def _wanted(self, policy: Any, alarm: Any, value: float, current: int) -> int:
        if policy.policy_type == "TargetTrackingScaling":
            config = policy.target_tracking_scaling_policy_configuration
            return tracked(config, alarm.comparison_operator.startswith("Greater"), value, current)
        return stepped(policy.step_scaling_policy_configuration, value - float(alarm.threshold), current)

    def _cooling(self, target: Any, policy: Any, direction: str, now: float) -> bool:
        last = self._last.get((target.scalable_dimension, target.resource_id))
        if last is None:
            return False
        since, before = last
        if policy.policy_type == "TargetTrackingScaling":
            config = policy.target_tracking_scaling_policy_configuration
            # Growing further is held up by growth only; shrinking by any activity.
            if direction == "out" and before == "in":
                return False
            return bool(now - since < config.get(f"Scale{direction.title()}Cooldown", _COOLDOWN))
        return bool(now - since < policy.step_scaling_policy_configuration.get("Cooldown", _COOLDOWN))

    def _current(self, target: Any) -> int | None:
        """How many there are; None while that is being changed, or where there is no such thing."""
        parts = target.resource_id.split("/")
        try:
            if target.scalable_dimension == COMPONENT:
                component = component_operations.existing(self._region, parts[1])[1]
                status = component.record.described["InferenceComponentStatus"]
                return component.count if status == "InService" else None
            hosted = endpoints.existing(self._region, parts[1])
        except ServiceError:
            return None
        member = hosted.member(parts[3])
        return member.count if member is not None and hosted.status == "InService" else None

    def _set(self, target: Any, current: int, wanted: int, now: float, cause: str) -> None:
        parts = target.resource_id.split("/")
        if target.scalable_dimension == COMPONENT:
            hosted, component = component_operations.existing(self._region, parts[1])
            component_operations.resize(hosted, component, wanted)
        else:
            endpoints.change(endpoints.existing(self._region, parts[1]), {parts[3]: (None, wanted)})
        what = f"Setting desired {'copy' if target.scalable_dimension == COMPONENT else 'instance'} count to {wanted}."
        self._last[target.scalable_dimension, target.resource_id] = (now, "out" if wanted > current else "in")
        self._note(target, now, "Successful", what, cause)

    def _note(self, target: Any, now: float, status: str, what: str, cause: str) -> None:
        last = self.activities[0] if self.activities else {}
        if status == "Failed" and last.get("Cause") == cause and last.get("Description") == what:
            return
        self.activities.insert(
            0,
            {
                "ActivityId": str(uuid.uuid4()),
                "ServiceNamespace": "sagemaker",
                "ResourceId": target.resource_id,
                "ScalableDimension": target.scalable_dimension,
                "Description": what,
                "Cause": cause,
                "StartTime": now,
                "EndTime": now,
                "StatusCode": status,
            },
        )

    def _policies(self, target: Any) -> Iterable[Any]:
        for policy in list(self._backend().policies.values()):
            same = policy.scalable_dimension == target.scalable_dimension
            if policy.service_namespace == "sagemaker" and policy.resource_id == target.resource_id and same:
                yield policy

    def _backend(self) -> Any:
        from moto.applicationautoscaling.models import applicationautoscaling_backends

        return applicationautoscaling_backends[self._region.account][self._region.name]


def activities(region: Region, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What DescribeScalingActivities answers."""
    found = scaler_of(region).activities
    for member in ("ResourceId", "ScalableDimension"):
        if params.get(member):
            found = [one for one in found if one[member] == params[member]]
    return found[: int(params.get("MaxResults") or 50)]
