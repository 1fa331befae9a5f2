"""Environment variables that a spec may not set, because cloudops or the platform sets them for the process."""

from __future__ import annotations

from collections.abc import Collection

_PREFIX = "CLOUDOPS_"
_PLACES = frozenset({"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES"})
#: Settings of a serving process that are the user's to choose; see ``cloudops/runtime/settings.py``.
SERVING = frozenset(
    f"CLOUDOPS_{name}" for name in ("CAPTURE_LIMIT", "MAX_PAYLOAD", "SERVER", "SHUTDOWN_GRACE", "THREADS")
)


def check(envs: Collection[str], secrets: Collection[str], *, free: Collection[str] = ()) -> None:
    """Hold the names of a spec's ``envs`` and ``secrets`` against those that are taken.

    Args:
        envs: names with values in the spec.
        secrets: names whose values come from elsewhere.
        free: names with the prefix that may be set all the same.

    Raises:
        ValueError: a name is in both, or would be overwritten; the text says what is expected instead.
    """
    if both := sorted(set(envs) & set(secrets)):
        raise ValueError(f"expected {both[0]} under envs or under secrets, not both")
    for name in sorted({*envs, *secrets} - set(free)):
        if name.startswith(_PREFIX) or name in _PLACES:
            may = f"; {', '.join(sorted(free))} may be set" if free else ""
            raise ValueError(f"expected another name than {name}, which is set for the process{may}")
