"""Application Auto Scaling over moto's: SageMaker's other dimensions, the alarms of target tracking, activities."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from . import scaling
from .cloudwatch_layer import extend, site
from .operations import ServiceError
from .scaling_policies import low_threshold

_PREDEFINED: Mapping[str, tuple[str, str, str]] = {
    # The metric, its statistic, and the dimension that it belongs to.
    "SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum", scaling.VARIANT),
    "SageMakerInferenceComponentInvocationsPerCopy": ("InvocationsPerCopy", "Sum", scaling.COMPONENT),
}
_RESOURCES = {scaling.VARIANT: ("endpoint", 4), scaling.COMPONENT: ("inference-component", 2)}
_ours: dict[str, Any] = {}


def install() -> None:
    """Have moto's Application Auto Scaling use what is here."""
    if _ours:
        return
    from moto.applicationautoscaling import models, responses

    backend, policy = models.ApplicationAutoscalingBackend, models.FakeApplicationAutoscalingPolicy
    response = responses.ApplicationAutoScalingResponse
    _ours["validate"], _ours["valid"] = response._validate_params, models._target_params_are_valid
    _ours["register"], _ours["deregister"] = backend.register_scalable_target, backend.deregister_scalable_target
    _ours["put"], _ours["alarms"] = backend.put_scaling_policy, policy.create_alarms
    _ours["scheduled"] = backend.put_scheduled_action
    extend(models, _target_params_are_valid=_target_params_are_valid)
    extend(policy, create_alarms=_create_alarms)
    extend(
        backend,
        register_scalable_target=_register,
        deregister_scalable_target=_deregister,
        put_scaling_policy=_put_policy,
        put_scheduled_action=_put_scheduled_action,
    )
    extend(response, _validate_params=_validate_params, describe_scaling_activities=_describe_scaling_activities)


def _validate_params(self: Any) -> None:
    if self._get_param("ServiceNamespace") != "sagemaker":
        _ours["validate"](self)
    dimension = self._get_param("ScalableDimension")
    if self._get_param("ServiceNamespace") == "sagemaker" and dimension is not None and dimension not in _RESOURCES:
        raise _refusal(f"the dimension {dimension} is not emulated by the offline cloud")


def _target_params_are_valid(namespace: str, r_id: str, dimension: str) -> bool:
    if namespace != "sagemaker":
        return bool(_ours["valid"](namespace, r_id, dimension))
    kind, parts = _RESOURCES.get(dimension, ("", 0))
    found = r_id.split("/")
    if not kind or found[0] != kind or len(found) != parts:
        raise _refusal("Unsupported service namespace, resource type or scalable dimension")
    return True


def _register(self: Any, namespace: str, r_id: str, dimension: str, **options: Any) -> Any:
    if namespace != "sagemaker":
        return _ours["register"](self, namespace, r_id, dimension, **options)
    _target_params_are_valid(namespace, r_id, dimension)
    region = site().region(self.region_name, self.account_id)
    _check_resource(region, r_id, dimension)
    low, high = options.get("min_capacity"), options.get("max_capacity")
    before = self.targets.get(dimension, {}).get(r_id)
    if before is None and (low is None or high is None):
        raise _refusal("MinCapacity and MaxCapacity are required for a scalable target that is registered first.")
    if low is not None and high is not None and low > high:
        raise _refusal("Maximum capacity cannot be less than minimum capacity.")
    target = _ours["register"](self, namespace, r_id, dimension, **options)
    scaler = scaling.scaler_of(region)
    try:
        scaler.apply_bounds(target)
    except ServiceError as error:
        raise _refusal(error.message) from None
    return target


def _check_resource(region: Any, r_id: str, dimension: str) -> None:
    from . import component_operations, endpoints

    parts = r_id.split("/")
    try:
        if dimension == scaling.COMPONENT:
            component_operations.existing(region, parts[1])
        elif endpoints.existing(region, parts[1]).member(parts[3]) is None:
            raise ServiceError("ValidationException", f'Variant "{parts[3]}" not found.')
    except ServiceError as error:
        raise _refusal(error.message) from None


def _deregister(self: Any, namespace: str, r_id: str, dimension: str) -> None:
    """The target's policies go with it, and their alarms."""
    _ours["deregister"](self, namespace, r_id, dimension)
    if namespace == "sagemaker":
        for policy in list(self.policies.values()):
            same = (policy.service_namespace, policy.resource_id, policy.scalable_dimension)
            if same == (namespace, r_id, dimension):
                self.delete_scaling_policy(policy.policy_name, *same)


def _put_policy(self: Any, policy_name: str, service_namespace: str, resource_id: str, **options: Any) -> Any:
    dimension = options["scalable_dimension"]
    if service_namespace == "sagemaker" and resource_id not in self.targets.get(dimension, {}):
        from moto.core.exceptions import JsonRESTError

        raise JsonRESTError(
            "ObjectNotFoundException",
            f"No scalable target registered for service namespace: {service_namespace}, resource ID: {resource_id}, "
            f"scalable dimension: {dimension}",
        )
    before = dict(self.policies)
    made = _ours["put"](
        self, policy_name=policy_name, service_namespace=service_namespace, resource_id=resource_id, **options
    )
    key = made.formulate_key(service_namespace, resource_id, dimension, policy_name)
    if service_namespace == "sagemaker" and key in before:
        before[key].delete_alarms(self.account_id, self.region_name)
        for alarm in made.alarms:  # its ARN is kept when a policy is changed
            alarm.alarm_actions = [before[key].policy_arn]
        made.policy_arn = before[key].policy_arn
    return made


def _create_alarms(self: Any) -> None:
    if self.service_namespace != "sagemaker":
        _ours["alarms"](self)
        return
    if self.policy_type != "TargetTrackingScaling":
        return
    from moto.cloudwatch.models import cloudwatch_backends

    config = self.target_tracking_scaling_policy_configuration
    backend = cloudwatch_backends[self.account_id][self.region_name]
    metric = _metric(config, self.resource_id, self.scalable_dimension)
    name = f"TargetTracking-{self.resource_id}"
    rules = [("AlarmHigh", "GreaterThanThreshold", float(config["TargetValue"]), 3)]
    if not config.get("DisableScaleIn"):
        rules.append(("AlarmLow", "LessThanThreshold", low_threshold(config), 15))
    for kind, comparison, threshold, periods in rules:
        alarm = backend.put_metric_alarm(
            name=f"{name}-{kind}-{uuid.uuid4()}",
            comparison_operator=comparison,
            evaluation_periods=periods,
            threshold=threshold,
            description="DO NOT EDIT OR DELETE. For TargetTrackingScaling policy " + self.policy_arn,
            alarm_actions=[self.policy_arn],
            **metric,
        )
        self.alarms.append(alarm)


def _metric(config: Mapping[str, Any], resource: str, dimension: str) -> dict[str, Any]:
    """What a policy tracks, as PutMetricAlarm's parameters."""
    predefined, custom = config.get("PredefinedMetricSpecification"), config.get("CustomizedMetricSpecification")
    if predefined:
        kind = predefined["PredefinedMetricType"]
        if kind not in _PREDEFINED or _PREDEFINED[kind][2] != dimension:
            known = ", ".join(name for name, value in _PREDEFINED.items() if value[2] == dimension)
            raise _refusal(f"PredefinedMetricType {kind} is not emulated for {dimension}; known are: {known}")
        parts, (name, statistic, _) = resource.split("/"), _PREDEFINED[kind]
        pairs = {"InferenceComponentName": parts[1]}
        if dimension == scaling.VARIANT:
            pairs = {"EndpointName": parts[1], "VariantName": parts[3]}
        custom = {"Namespace": "AWS/SageMaker", "MetricName": name, "Statistic": statistic}
        custom["Dimensions"] = [{"Name": key, "Value": value} for key, value in pairs.items()]
    if not custom or "MetricName" not in custom:
        raise _refusal("metric math in a scaling policy is not emulated by the offline cloud; name one metric")
    return {
        "namespace": custom["Namespace"],
        "metric_name": custom["MetricName"],
        "dimensions": custom.get("Dimensions", []),
        "statistic": custom["Statistic"],
        "period": int(custom.get("Period", 60)),
    }


def _put_scheduled_action(self: Any, service_namespace: str, *arguments: Any, **options: Any) -> None:
    if service_namespace == "sagemaker":
        raise _refusal("scheduled actions are not emulated by the offline cloud")
    _ours["scheduled"](self, service_namespace, *arguments, **options)


def _describe_scaling_activities(self: Any) -> str:
    params = json.loads(self.body)
    region = site().region(self.region, self.current_account)
    return json.dumps({"ScalingActivities": scaling.activities(region, params)})


def _refusal(text: str) -> Exception:
    from moto.applicationautoscaling.exceptions import AWSValidationException

    error: Exception = AWSValidationException(text)
    return error
