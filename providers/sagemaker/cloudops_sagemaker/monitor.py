"""What went through an endpoint: CloudWatch's metrics and captured requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.provider import Captured, Monitor
from cloudops.refs import MetricPoint, Ref

from . import usage
from .endpoint_status import live
from .endpoints import Endpoints
from .errors import translated
from .names import Place
from .serving import ConfigName, version_of
from .statuses import seconds
from .storage import Storage
from .trainer import absent
from .windows import window

if TYPE_CHECKING:
    from .client import Client

_MICROSECONDS = 1e-6
#: Ours to CloudWatch's: metric, statistic, factor. Latency is that of the container.
_METRICS: dict[str, tuple[str, str, float]] = {
    "requests": ("Invocations", "Sum", 1.0),
    "errors": ("Invocation5XXErrors", "Sum", 1.0),
    "client_errors": ("Invocation4XXErrors", "Sum", 1.0),
    "latency_p50": ("ModelLatency", "p50", _MICROSECONDS),
    "latency_p90": ("ModelLatency", "p90", _MICROSECONDS),
    "latency_p99": ("ModelLatency", "p99", _MICROSECONDS),
}


class SageMakerMonitor(Monitor):
    """See :class:`cloudops.provider.Monitor`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._endpoints = Endpoints(client)
        self._storage = Storage(client)

    def metrics(self, ref: Ref, *, since: float, until: float) -> list[MetricPoint]:
        """See :class:`cloudops.provider.Monitor`."""
        with translated("metrics", ref):
            described = self._existing(ref)
            config = live(described)
            # CloudWatch keeps those of an endpoint that had the name before. An offline clock may be ahead of `until`.
            created = seconds(described.get("CreationTime")) or since
            since = max(since, created) if created < until else since
            found = []
            for variant in described.get("ProductionVariants", ()):
                name = str(variant["VariantName"])
                labels = {"version": version_of(name, config)}
                values = self._values(ref.id, name, since, until)
                found += [MetricPoint(key, value, time=until, labels=labels) for key, value in values.items()]
            return [*found, *usage.points(self._client, usage.ENDPOINTS, self._users(ref.id, config), since, until)]

    def _users(self, endpoint: str, config: ConfigName) -> list[usage.User]:
        """The variants that have machines."""
        return [
            usage.User(
                {"EndpointName": endpoint, "VariantName": variant["VariantName"]},
                variant["InstanceType"],
                {"version": version_of(variant["VariantName"], config)},
            )
            for variant in (self._endpoints.config(config.text) or {}).get("ProductionVariants", ())
            if "InstanceType" in variant
        ]

    def _values(self, endpoint: str, variant: str, since: float, until: float) -> dict[str, float]:
        """Each metric over the whole window, by one call."""
        asked = window(since, until)
        answer = self._client.service("cloudwatch").get_metric_data(
            MetricDataQueries=[_query(name, endpoint, variant, asked.period) for name in _METRICS],
            StartTime=asked.start,
            EndTime=asked.end,
            ScanBy="TimestampAscending",
        )
        found = {}
        for result in answer["MetricDataResults"]:
            _, statistic, factor = _METRICS[result["Id"]]
            values = [float(value) * factor for value in result["Values"]]
            if values:
                found[result["Id"]] = sum(values) if statistic == "Sum" else max(values)
        return found

    def captured(self, ref: Ref, *, since: float, until: float) -> Iterator[Captured]:
        """See :class:`cloudops.provider.Monitor`."""
        from .captures import read

        with translated("captured", ref):
            described = self._existing(ref)
            folder = self._folder(described)
            if folder is not None:
                yield from read(self._storage, folder, since, until)

    def _folder(self, described: Mapping[str, Any]) -> Place | None:
        """Where the endpoint's captured requests lie, of all its versions; None where it never captured any."""
        config = self._endpoints.config(live(described).text) or {}
        for variant in config.get("ProductionVariants", ()):
            model = self._endpoints.model(variant["ModelName"]) or {}
            artifact = Place.parse(model.get("PrimaryContainer", {}).get("ModelDataUrl", ""))
            if artifact.key.endswith("/model.tar.gz"):
                return Place(artifact.bucket, artifact.key.rsplit("/", 2)[0]) / "capture"
        return None

    def _existing(self, ref: Ref) -> dict[str, Any]:
        described = self._endpoints.described(ref.id)
        if described is None:
            raise absent(ref, "endpoint")
        return described


def _query(name: str, endpoint: str, variant: str, period: int) -> dict[str, Any]:
    metric, statistic, _ = _METRICS[name]
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    found = {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": found, "Period": period, "Stat": statistic}}
