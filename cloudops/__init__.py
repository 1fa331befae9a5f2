"""cloudops: train, deploy and monitor a model on a cloud or on this machine.

The public names are loaded when they are first used, so that ``import cloudops`` costs nothing.
"""

from __future__ import annotations

# Type checkers take it for true. Importing typing for it would cost more than all the rest here, and while this is
# imported a Ctrl-C of the command line is still a traceback.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .errors import CloudopsError
    from .handles import Endpoint, Job, ModelVersion, attach
    from .opening import connect
    from .refs import LogLine, MetricPoint, Phase, Ref, Status
    from .session import Session
    from .specs import (
        BatchSpec,
        Capture,
        Checks,
        DeploySpec,
        DriftChecks,
        EvaluateSpec,
        MonitorSpec,
        PrepareSpec,
        QualityChecks,
        ReplicaResources,
        Resources,
        Traffic,
        TrainSpec,
    )

__version__ = "0.1.0"

_HOMES = {
    "opening": ("connect",),
    "errors": ("CloudopsError",),
    "handles": ("Endpoint", "Job", "ModelVersion", "attach"),
    "refs": ("LogLine", "MetricPoint", "Phase", "Ref", "Status"),
    "session": ("Session",),
    "specs": (
        "BatchSpec",
        "Capture",
        "Checks",
        "DeploySpec",
        "DriftChecks",
        "EvaluateSpec",
        "MonitorSpec",
        "PrepareSpec",
        "QualityChecks",
        "ReplicaResources",
        "Resources",
        "Traffic",
        "TrainSpec",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BatchSpec",
    "Capture",
    "Checks",
    "CloudopsError",
    "DeploySpec",
    "DriftChecks",
    "Endpoint",
    "EvaluateSpec",
    "Job",
    "LogLine",
    "MetricPoint",
    "ModelVersion",
    "MonitorSpec",
    "Phase",
    "PrepareSpec",
    "QualityChecks",
    "Ref",
    "ReplicaResources",
    "Resources",
    "Session",
    "Status",
    "Traffic",
    "TrainSpec",
    "attach",
    "connect",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    found = globals()[name] = getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
