"""Cloud Monitoring: what metrics there are, those of users among them."""

from __future__ import annotations

from typing import Any

from . import metric_types, paging
from .methods import Call, implements
from .metric_filter import MetricFilter
from .metric_types import MetricType
from .monitoring_service import project_of
from .protocol.errors import ServiceError
from .protocol.pool import message

_PAGE = 10_000
#: What the names of metrics that users make begin with.
CUSTOM = ("custom.googleapis.com/", "workload.googleapis.com/", "external.googleapis.com/")


@implements("MetricService.ListMetricDescriptors")
def list_metric_descriptors(call: Call, request: Any) -> Any:
    """A page of the metrics that a filter wants."""
    project = project_of(call, request.name)
    wanted = MetricFilter(request.filter)
    if request.active_only:
        raise ServiceError("UNIMPLEMENTED", "active_only is not emulated by the offline cloud.")
    found = [one for one in call.site.series.types(project) if wanted.is_of_type(one.type)]
    question = (project, request.filter)
    begin = paging.place(question, request.page_token) or 0
    end = begin + min(request.page_size or _PAGE, _PAGE)
    token = paging.token(question, end) if end < len(found) else ""
    made = [_to_message(project, one) for one in found[begin:end]]
    return call.answer(metric_descriptors=made, next_page_token=token)


@implements("MetricService.GetMetricDescriptor")
def get_metric_descriptor(call: Call, request: Any) -> Any:
    """One metric."""
    project, name = _named(call, request.name)
    try:
        return _to_message(project, call.site.series.type(project, name))
    except KeyError:
        raise _unknown(name) from None


@implements("MetricService.CreateMetricDescriptor")
def create_metric_descriptor(call: Call, request: Any) -> Any:
    """Have a project have a metric of its own."""
    project, given = project_of(call, request.name), request.metric_descriptor
    check_custom("metricDescriptor.type", given.type)
    kind, value_type = (_enum(given, field) for field in ("metric_kind", "value_type"))
    check_kind(given.type, kind, value_type)
    labels = tuple((one.key, _enum(one, "value_type")) for one in given.labels)
    metric = MetricType(
        given.type, kind, value_type, given.unit, given.display_name, labels, (), None, given.description
    )
    call.site.series.define(project, metric)
    return _to_message(project, metric)


@implements("MetricService.DeleteMetricDescriptor")
def delete_metric_descriptor(call: Call, request: Any) -> Any:
    """Drop a metric that a project has of its own."""
    project, name = _named(call, request.name)
    check_custom("name", name)
    if not call.site.series.forget(project, name):
        raise _unknown(name)
    return call.answer()


def check_custom(field: str, name: str) -> None:
    """Raise ServiceError where a metric is not one that users may make."""
    if not name.startswith(CUSTOM):
        text = f'Field {field} had an invalid value of "{name}": it must begin with one of {", ".join(CUSTOM)}.'
        raise ServiceError("INVALID_ARGUMENT", text)


def check_kind(name: str, kind: str, value_type: str) -> None:
    """Raise ServiceError where users may not make a metric of a kind and a type."""
    kinds = (metric_types.GAUGE, metric_types.CUMULATIVE)
    types = [metric_types.INT64, metric_types.DOUBLE, metric_types.DISTRIBUTION]
    if kind == metric_types.GAUGE:
        types.append(metric_types.BOOL)
    if kind not in kinds or value_type not in types:
        text = f"The metric {name} cannot have kind {kind} and value type {value_type}: a metric of a user is GAUGE or "
        raise ServiceError("INVALID_ARGUMENT", f"{text}CUMULATIVE, of INT64, DOUBLE or DISTRIBUTION (GAUGE: or BOOL).")


def _named(call: Call, name: str) -> tuple[str, str]:
    return project_of(call, name), name.split("/", 3)[-1]


def _unknown(name: str) -> ServiceError:
    return ServiceError("NOT_FOUND", f"Could not find descriptor for metric '{name}'.")


def _enum(given: Any, field: str) -> str:
    values = given.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    number = getattr(given, field)
    return str(values[number].name) if number in values else str(number)


def _to_message(project: str, metric: MetricType) -> Any:
    """A metric as the API has it."""
    made: Any = message("google.api.MetricDescriptor")()
    made.name, made.type = f"projects/{project}/metricDescriptors/{metric.type}", metric.type
    made.unit, made.display_name, made.description = metric.unit, metric.title, metric.text
    for field, name in (("metric_kind", metric.kind), ("value_type", metric.value_type)):
        setattr(made, field, made.DESCRIPTOR.fields_by_name[field].enum_type.values_by_name[name].number)
    for key, value_type in metric.labels:
        label = made.labels.add(key=key)
        types = label.DESCRIPTOR.fields_by_name["value_type"].enum_type.values_by_name
        label.value_type = types[value_type].number
    made.monitored_resource_types.extend(metric.resources)
    if metric.type.startswith(("aiplatform.", "ml.")):
        made.metadata.sample_period.FromSeconds(60)
    return made
