"""The offline clouds: one loopback proxy with a certificate authority of its own, in front of emulators.

A command that runs behind it (``cloudops offline run -- COMMAND``) speaks to the clouds' real host names with its own
unmodified client code; what answers are the emulators that the installed providers bring. Every other host is refused
and listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cloud import OfflineCloud

__all__ = ["OfflineCloud"]


def __getattr__(name: str) -> Any:
    # Loaded when used: a provider's emulator imports this package for its interface alone.
    if name != "OfflineCloud":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .cloud import OfflineCloud

    return OfflineCloud
