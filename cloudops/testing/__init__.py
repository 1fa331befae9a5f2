"""The contracts that every provider passes, as pytest classes: see ``docs/providers.md``.

A provider's test suite subclasses them and gives each a ``rig`` fixture; what they run goes through the public Python
API. Nothing at run time imports this package, and only this package imports pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import Contract, requires
    from .deploy import DeployContract
    from .errors import ErrorContract
    from .lifecycle import LifecycleContract
    from .monitor import MonitorContract
    from .rig import Fault, Rig
    from .train import TrainContract

_HOMES = {
    "Contract": "contract",
    "DeployContract": "deploy",
    "ErrorContract": "errors",
    "Fault": "rig",
    "LifecycleContract": "lifecycle",
    "MonitorContract": "monitor",
    "Rig": "rig",
    "TrainContract": "train",
    "requires": "contract",
}

__all__ = [
    "Contract",
    "DeployContract",
    "ErrorContract",
    "Fault",
    "LifecycleContract",
    "MonitorContract",
    "Rig",
    "TrainContract",
    "requires",
]


def __getattr__(name: str) -> Any:
    # Loaded when used: pytest imports this package in every run of every project that has cloudops installed.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
