"""The metrics that Vertex AI reports: kind, type, unit, labels, resources (Cloud Monitoring's list of metrics).

Those of training carry the names of AI Platform, whose resource ``cloudml_job`` they are of; its ``job_id`` is that of
the custom job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .distributions import Buckets, Exponential

GAUGE, DELTA, CUMULATIVE = "GAUGE", "DELTA", "CUMULATIVE"
BOOL, INT64, DOUBLE, STRING, DISTRIBUTION = "BOOL", "INT64", "DOUBLE", "STRING", "DISTRIBUTION"

#: Of latencies in ms, a tenth of one up to about an hour; each a tenth wider, so that percentiles are as right as that.
LATENCIES = Exponential(184, 1.1, 0.1)

ENDPOINT, MODEL, POOL = (
    f"aiplatform.googleapis.com/{name}" for name in ("Endpoint", "Model", "DeploymentResourcePool")
)
PIPELINE, TRAINING = "aiplatform.googleapis.com/PipelineJob", "cloudml_job"

#: The labels of the resources.
RESOURCES: Mapping[str, tuple[str, ...]] = {
    ENDPOINT: ("resource_container", "location", "endpoint_id"),
    MODEL: ("resource_container", "location", "model_id"),
    POOL: ("resource_container", "location", "deployment_resource_pool_id"),
    PIPELINE: ("resource_container", "location", "pipeline_job_id"),
    TRAINING: ("project_id", "job_id", "region"),
}


@dataclass(frozen=True, slots=True)
class MetricType:
    """A metric.

    Args:
        type: its name, such as ``aiplatform.googleapis.com/prediction/online/replicas``.
        kind: :data:`GAUGE`, :data:`DELTA` or :data:`CUMULATIVE`.
        value_type: :data:`BOOL`, :data:`INT64`, :data:`DOUBLE`, :data:`STRING` or :data:`DISTRIBUTION`.
        unit: such as ``ms``.
        title: for a person.
        labels: names of labels, and the type of their values.
        resources: the types of resources that it is of; empty for any.
        buckets: of a distribution that is made of single values.
        text: what it says.
    """

    type: str
    kind: str
    value_type: str
    unit: str = ""
    title: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    resources: tuple[str, ...] = ()
    buckets: Buckets | None = None
    text: str = ""


def _labels(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, STRING) for name in names)


_NAMES = ("spot", "model_display_name", "endpoint_display_name")
_OF_MODEL = _labels("deployed_model_id", *_NAMES)
_OF_REPLICA = _labels("deployed_model_id", "replica_id", "spot")
_OF_POOL = _labels("replica_id", "spot")
_OF_FEATURE = _labels("schedule_id", "feature_name", "algorithm")
_ONLINE, _POOLED = "prediction/online", "prediction/online/deployment_resource_pool"


def _vertex(
    name: str,
    kind: str,
    value_type: str,
    unit: str,
    title: str,
    labels: tuple[tuple[str, str], ...],
    resource: str = ENDPOINT,
) -> MetricType:
    buckets = LATENCIES if value_type == DISTRIBUTION else None
    return MetricType(
        f"aiplatform.googleapis.com/{name}", kind, value_type, unit, title, labels, (resource,), buckets, f"{title}."
    )


def _training(name: str, kind: str, value_type: str, unit: str, title: str) -> MetricType:
    return MetricType(
        f"ml.googleapis.com/training/{name}", kind, value_type, unit, title, (), (TRAINING,), None, f"{title}."
    )


_ALL = (
    _vertex(f"{_ONLINE}/prediction_count", DELTA, INT64, "1", "Prediction count", _OF_MODEL),
    _vertex(
        f"{_ONLINE}/prediction_latencies",
        DELTA,
        DISTRIBUTION,
        "ms",
        "Prediction Latencies",
        _labels("deployed_model_id", "latency_type", *_NAMES),
    ),
    _vertex(
        f"{_ONLINE}/response_count",
        DELTA,
        INT64,
        "1",
        "Response count",
        _labels("deployed_model_id", "response_code", *_NAMES),
    ),
    _vertex(f"{_ONLINE}/error_count", DELTA, INT64, "1", "Error count", _OF_MODEL),
    _vertex(f"{_ONLINE}/cpu/utilization", GAUGE, DOUBLE, "10^2.%", "CPU utilization", _OF_REPLICA),
    _vertex(f"{_ONLINE}/memory/bytes_used", GAUGE, INT64, "By", "Memory usage", _OF_REPLICA),
    _vertex(f"{_ONLINE}/accelerator/duty_cycle", GAUGE, DOUBLE, "10^2.%", "Accelerator duty cycle", _OF_REPLICA),
    _vertex(f"{_ONLINE}/accelerator/memory/bytes_used", GAUGE, INT64, "By", "Accelerator memory usage", _OF_REPLICA),
    _vertex(f"{_ONLINE}/network/received_bytes_count", DELTA, INT64, "By", "Network bytes received", _OF_REPLICA),
    _vertex(f"{_ONLINE}/network/sent_bytes_count", DELTA, INT64, "By", "Network bytes sent", _OF_REPLICA),
    _vertex(f"{_ONLINE}/replicas", GAUGE, INT64, "1", "Replica count", _OF_MODEL),
    _vertex(f"{_ONLINE}/target_replicas", GAUGE, INT64, "1", "Replica target", _OF_MODEL),
    _vertex(f"{_ONLINE}/machine_count", GAUGE, INT64, "1", "Machine count", _OF_MODEL),
    _vertex(
        f"{_ONLINE}/private/prediction_latencies",
        DELTA,
        DISTRIBUTION,
        "ms",
        "Private endpoint prediction latencies",
        _labels("deployed_model_id"),
    ),
    _vertex(
        f"{_ONLINE}/private/response_count",
        DELTA,
        INT64,
        "1",
        "Private endpoint response count",
        (("deployed_model_id", STRING), ("response_code", INT64)),
    ),
    _vertex(f"{_POOLED}/cpu/utilization", GAUGE, DOUBLE, "10^2.%", "CPU utilization", _OF_POOL, POOL),
    _vertex(f"{_POOLED}/memory/bytes_used", GAUGE, INT64, "By", "Memory usage", _OF_POOL, POOL),
    _vertex(f"{_POOLED}/accelerator/duty_cycle", GAUGE, DOUBLE, "10^2.%", "Accelerator duty cycle", _OF_POOL, POOL),
    _vertex(f"{_POOLED}/accelerator/memory/bytes_used", GAUGE, INT64, "By", "Accelerator memory usage", _OF_POOL, POOL),
    _vertex(f"{_POOLED}/network/received_bytes_count", DELTA, INT64, "By", "Network bytes received", _OF_POOL, POOL),
    _vertex(f"{_POOLED}/network/sent_bytes_count", DELTA, INT64, "By", "Network bytes sent", _OF_POOL, POOL),
    _vertex(f"{_POOLED}/replicas", GAUGE, INT64, "1", "Replica count", _labels("spot"), POOL),
    _vertex(f"{_POOLED}/target_replicas", GAUGE, INT64, "1", "Replica target", _labels("spot"), POOL),
    _vertex(
        "model_monitoring/feature_drift_deviation", GAUGE, DOUBLE, "1", "Feature drift deviation", _OF_FEATURE, MODEL
    ),
    _vertex(
        "model_monitoring/prediction_output_drift_deviation",
        GAUGE,
        DOUBLE,
        "1",
        "Prediction output drift deviation",
        _OF_FEATURE,
        MODEL,
    ),
    _vertex(
        "model_monitoring/feature_attribution_deviation",
        GAUGE,
        DOUBLE,
        "1",
        "Feature attribution deviation",
        _OF_FEATURE,
        MODEL,
    ),
    _vertex("pipelinejob/duration", GAUGE, INT64, "s", "PipelineJob duration", (), PIPELINE),
    _vertex("pipelinejob/task_completed_count", CUMULATIVE, INT64, "1", "Completed PipelineTasks", (), PIPELINE),
    _training("cpu/utilization", GAUGE, DOUBLE, "10^2.%", "CPU utilization"),
    _training("memory/utilization", GAUGE, DOUBLE, "10^2.%", "Memory utilization"),
    _training("accelerator/utilization", GAUGE, DOUBLE, "10^2.%", "Accelerator utilization"),
    _training("accelerator/memory/utilization", GAUGE, DOUBLE, "10^2.%", "Accelerator memory utilization"),
    _training("network/received_bytes_count", DELTA, INT64, "By", "Network bytes received"),
    _training("network/sent_bytes_count", DELTA, INT64, "By", "Network bytes sent"),
)
#: By their names.
KNOWN: Mapping[str, MetricType] = {one.type: one for one in _ALL}
