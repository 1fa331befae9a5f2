"""What runs inside a job or a serving container, and what user code may import there.

Standard library only, Python 3.9 or newer, nothing else of cloudops: it travels as one file beside the user's code
(:mod:`cloudops.runtime.archive`). Names are loaded when they are first used, so that importing this costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import BadRequest
    from .frames import table
    from .job import checkpoint_dir, cloud, input_path, model_dir, output_dir, params, rank, world_size
    from .metrics import log_metric, log_metrics

_HOMES = {
    "BadRequest": "errors",
    "checkpoint_dir": "job",
    "cloud": "job",
    "input_path": "job",
    "log_metric": "metrics",
    "log_metrics": "metrics",
    "model_dir": "job",
    "output_dir": "job",
    "params": "job",
    "rank": "job",
    "table": "frames",
    "world_size": "job",
}

__all__ = [
    "BadRequest",
    "checkpoint_dir",
    "cloud",
    "input_path",
    "log_metric",
    "log_metrics",
    "model_dir",
    "output_dir",
    "params",
    "rank",
    "table",
    "world_size",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
