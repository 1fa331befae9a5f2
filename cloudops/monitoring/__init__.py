"""Whether a deployed model still sees what it was trained on: tables in, a report out.

::

    reference = read_table("train.parquet")
    june = Period("june", from_rows(captured_rows))
    report = assess("flight-delay", [june], reference=reference, checks=Checks(psi=0.2))
    report.verdict, report.drifted
    terminal.render(report); html.render(report)

Nothing here knows of providers. Importing the package costs nothing; each name brings its module when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .analysis import assess
    from .drift import Distances, compare
    from .operational import histogram_percentile
    from .periods import Period
    from .profiles import ColumnProfile, Profile, profile
    from .report import Check, Checks, ColumnReport, PeriodReport, Report, Verdict, VersionMetrics
    from .rows import Captured, from_rows
    from .tables import batches, read_table

__all__ = [
    "Captured",
    "Check",
    "Checks",
    "ColumnProfile",
    "ColumnReport",
    "Distances",
    "Period",
    "PeriodReport",
    "Profile",
    "Report",
    "Verdict",
    "VersionMetrics",
    "assess",
    "batches",
    "compare",
    "from_rows",
    "histogram_percentile",
    "profile",
    "read_table",
]

_HOMES: Final = {
    "analysis": ("assess",),
    "drift": ("Distances", "compare"),
    "operational": ("histogram_percentile",),
    "periods": ("Period",),
    "profiles": ("ColumnProfile", "Profile", "profile"),
    "report": ("Check", "Checks", "ColumnReport", "PeriodReport", "Report", "Verdict", "VersionMetrics"),
    "rows": ("Captured", "from_rows"),
    "tables": ("batches", "read_table"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
