"""Whether a version that is watched may go on: Vertex AI undoes nothing by itself.

Requests come from Cloud Monitoring, which learns of them a few minutes late; that its server ended, from the log.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudops.errors import NotFound

from .endpoint_logs import EndpointLogs
from .errors import is_kind

if TYPE_CHECKING:
    from .client import Client

_METRIC = "aiplatform.googleapis.com/prediction/online/response_count"
#: Seconds by which a container's clock may differ from the service's.
_SLACK = 2.0


def complaint(client: Client, logs: EndpointLogs, endpoint: str, deployed: str, since: float, rate: float) -> str:
    """Why a deployed model is not to go on; empty where nothing is known against it.

    Args:
        client: to ask with.
        logs: of the endpoint.
        endpoint: its id.
        deployed: the deployed model's id.
        since: epoch seconds from which on it is watched.
        rate: the share of failed requests that is too much.
    """
    died = logs.died(endpoint, deployed, since - _SLACK)
    if died:
        return f"its server did not stay up: {died}"
    total, failed = requests(client, endpoint, deployed, since)
    if failed and failed > rate * total:
        return f"{failed} of its {total} requests failed, more than {rate:.2%}"
    return ""


def requests(client: Client, endpoint: str, deployed: str, since: float) -> tuple[int, int]:
    """How many requests a deployed model has answered, and how many of those with an error of its own (5xx)."""
    total = failed = 0
    for series in _series(client, endpoint, deployed, since):
        count = sum(int(point["value"].get("int64Value", 0)) for point in series.get("points", ()))
        total += count
        if str(series["metric"]["labels"].get("response_code", "")).startswith("5"):
            failed += count
    return total, failed


def _series(client: Client, endpoint: str, deployed: str, since: float) -> list[dict[str, Any]]:
    clauses = (
        f'metric.type="{_METRIC}"',
        'resource.type="aiplatform.googleapis.com/Endpoint"',
        f'resource.labels.endpoint_id="{endpoint}"',
        f'metric.labels.deployed_model_id="{deployed}"',
    )
    asked: dict[str, Any] = {
        "filter": " AND ".join(clauses),
        "interval.startTime": _rfc3339(since),
        "interval.endTime": _rfc3339(max(client.now(), since)),
    }
    url = f"https://monitoring.googleapis.com/v3/projects/{client.project}/timeSeries"
    found: list[dict[str, Any]] = []
    while True:
        try:
            page = client.request("monitoring.timeSeries.list", "GET", url, params=asked).json()
        except Exception as error:
            if is_kind(error, NotFound):  # nothing of the project has reported it yet
                return found
            raise
        found += page.get("timeSeries", ())
        if not page.get("nextPageToken"):
            return found
        asked["pageToken"] = page["nextPageToken"]


def _rfc3339(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z")
