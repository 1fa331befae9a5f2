"""What faults can happen to: the calls of AWS, by botocore's models, and what runs in SageMaker."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping

from cloudops.offline.faults import RUNNING, FaultKind

from .identify import model

TRAINING_JOB = "sagemaker:training-job"
TRANSFORM_JOB = "sagemaker:transform-job"
ENDPOINT = "sagemaker:endpoint"
INSTANCE = "sagemaker:endpoint-instance"
COMPONENT = "sagemaker:inference-component"

_JOBS = (TRAINING_JOB, TRANSFORM_JOB)
_THINGS: Mapping[FaultKind, tuple[str, ...]] = {
    FaultKind.NO_CAPACITY: (*_JOBS, ENDPOINT, COMPONENT),
    FaultKind.SPOT_INTERRUPTION: (TRAINING_JOB,),
    FaultKind.UNHEALTHY: (TRANSFORM_JOB, ENDPOINT, INSTANCE),
    FaultKind.SLOW_START: (TRANSFORM_JOB, ENDPOINT),
    FaultKind.PARTIAL_UPLOAD: _JOBS,
    FaultKind.UNKNOWN_STATE: (*_JOBS, ENDPOINT),
}
_SAGEMAKER = ("sagemaker", "sagemaker-runtime")
#: A pattern over more services than these is not looked into: each model of botocore takes time to be read.
_FEW = 8


def subjects(kind: FaultKind, service: str) -> Collection[str] | None:
    """What ``kind`` can happen to in the services that the pattern ``service`` names; None where they are many."""
    if kind in RUNNING:
        return _THINGS[kind] if fnmatch.fnmatchcase("sagemaker", service) else ()
    services = [name for name in _services() if fnmatch.fnmatchcase(_prefix(name), service)]
    if len(services) > _FEW:
        return None
    return [f"{_prefix(name)}:{operation}" for name in services for operation in model(name).operation_names]


def _services() -> list[str]:
    import botocore.session

    names = botocore.session.Session().get_available_services()
    return [name for name in names if name in _SAGEMAKER or not name.startswith("sagemaker")]


def _prefix(service: str) -> str:
    """As :attr:`.identify.Call.prefix`."""
    return "sagemaker" if service.startswith("sagemaker") else service
