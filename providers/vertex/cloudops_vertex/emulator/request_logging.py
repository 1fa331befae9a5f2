"""Request-response logging: a row of a BigQuery table for each prediction that is sampled.

https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import bigquery_rows as rows
from .bigquery_errors import BigQueryError
from .protocol.errors import refused

if TYPE_CHECKING:
    from .bigquery_store import Table
    from .site import Site
    from .store import Record

_URI = re.compile(r"bq://(?P<project>[^.]+)(?:\.(?P<dataset>\w+)(?:\.(?P<table>\w+))?)?")
_TABLE = "request_response_logging"
_SCHEMA = rows.schema(
    [
        {"name": "endpoint", "type": "STRING"},
        {"name": "deployed_model_id", "type": "STRING"},
        {"name": "logging_time", "type": "TIMESTAMP"},
        {"name": "request_id", "type": "NUMERIC"},
        {"name": "request_payload", "type": "STRING", "mode": "REPEATED"},
        {"name": "response_payload", "type": "STRING", "mode": "REPEATED"},
    ]
)


def check_logging(message: Any) -> None:
    """Have the logging of an endpoint be such as can be done.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
    config, field = message.predict_request_response_logging_config, "predict_request_response_logging_config"
    if not config.enabled:
        return
    if not 0 < config.sampling_rate <= 1:
        raise refused([(f"endpoint.{field}.sampling_rate", "The sampling rate must be in (0, 1].")])
    uri = config.bigquery_destination.output_uri
    if not _URI.fullmatch(uri):
        text = f"Invalid BigQuery URI {uri!r}; expected bq://projectId[.datasetId[.tableId]]."
        raise refused([(f"endpoint.{field}.bigquery_destination.output_uri", text)])


def log(site: Site, endpoint: Record, deployed: str, request: Sequence[str], response: Sequence[str]) -> None:
    """Add a row for a prediction, where the endpoint logs and this one is sampled.

    Args:
        site: the emulated cloud.
        endpoint: that was asked.
        deployed: the id of the deployed model that has answered.
        request: the instances as JSON, or the whole body of a raw request.
        response: the predictions as JSON, or the whole body of a raw answer.
    """
    config = endpoint.message.predict_request_response_logging_config
    if not config.enabled or endpoint.live.sample.random() >= config.sampling_rate:
        return
    row = {
        "endpoint": endpoint.name.id,
        "deployed_model_id": deployed,
        "logging_time": time.time(),
        "request_id": str(secrets.randbits(62)),
        "request_payload": list(request),
        "response_payload": list(response),
    }
    site.warehouse.append(_table(site, config.bigquery_destination.output_uri, endpoint), rows.taken(row, _SCHEMA))


def prepare_logging(site: Site, endpoint: Record) -> None:
    """Have an endpoint's log have its table, and the endpoint tell its whole name; under the store's lock."""
    config = endpoint.message.predict_request_response_logging_config
    if not config.enabled:
        return
    found = _URI.fullmatch(config.bigquery_destination.output_uri)
    assert found is not None  # it was checked
    name = re.sub(r"\W", "_", f"{endpoint.message.display_name}_{endpoint.name.id}")
    uri = f"bq://{found['project']}.{found['dataset'] or f'logging_{name}'}.{found['table'] or _TABLE}"
    config.bigquery_destination.output_uri = uri
    _table(site, uri, endpoint)


def _table(site: Site, uri: str, endpoint: Record) -> Table:
    """The table of an endpoint's log, made with its dataset where they are missing."""
    project, dataset, table = uri.removeprefix("bq://").split(".")
    project, warehouse = site.projects.number(project), site.warehouse
    with warehouse.lock:
        if dataset not in warehouse.datasets(project):
            warehouse.make_dataset(project, dataset, {"location": endpoint.name.location})
        try:
            return warehouse.table(project, dataset, table)
        except BigQueryError:
            return warehouse.make_table(project, dataset, table, _SCHEMA, {})
