"""What faults can happen to: the methods of the services, and what runs in Vertex AI."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping

from cloudops.offline.faults import RUNNING, FaultKind

CUSTOM_JOB = "aiplatform:custom-job"
BATCH_JOB = "aiplatform:batch-prediction-job"
ENDPOINT = "aiplatform:endpoint"
REPLICA = "aiplatform:endpoint-replica"

_THINGS: Mapping[FaultKind, tuple[str, ...]] = {
    FaultKind.NO_CAPACITY: (CUSTOM_JOB, BATCH_JOB, ENDPOINT),
    FaultKind.SPOT_INTERRUPTION: (CUSTOM_JOB,),
    FaultKind.UNHEALTHY: (ENDPOINT, REPLICA),
    FaultKind.SLOW_START: (ENDPOINT,),
    FaultKind.PARTIAL_UPLOAD: (BATCH_JOB,),
    FaultKind.UNKNOWN_STATE: (CUSTOM_JOB, BATCH_JOB),
}


def subjects(kind: FaultKind, service: str) -> Collection[str]:
    """What ``kind`` can happen to in the services that the pattern ``service`` names."""
    if kind in RUNNING:
        return _THINGS.get(kind, ()) if fnmatch.fnmatchcase("aiplatform", service) else ()
    from .bigquery_api import subjects as table_calls
    from .identify import operation_name
    from .protocol.pool import methods
    from .storage.identify import subjects as storage_calls

    names = {*storage_calls(), *table_calls(), *(operation_name(method) for method in methods())}
    return {name for name in names if fnmatch.fnmatchcase(name.partition(":")[0], service)}
