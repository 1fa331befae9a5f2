"""The report as tables for a terminal; without one, the same as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import formats
from .html_parts import by_severity, verdict_of
from .report import DRIFT_CHECKS, UNDECIDED, ColumnReport, Report, Verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

#: How many columns and failed checks are listed without ``full``; the worst come first.
ROWS = 20
FINDINGS = 10

_STYLES: dict[Verdict, str] = {"failed": "bold red", "drift": "bold yellow", "no data": "dim", "ok": "bold green"}


def render(report: Report, console: Console | None = None, *, full: bool = False) -> None:
    """Prints the report.

    Args:
        report: what was found.
        console: where to; by default standard output.
        full: list every column and every failed check, not only the first of them.
    """
    from rich.console import Console

    out = console or Console()
    out.print(_headline(report))
    failed = [(label, check) for label, check in report.violations() if check.name not in DRIFT_CHECKS]
    for label, check in failed if full else failed[:FINDINGS]:
        out.print(_line(f"  {label}: {check.detail}" if label else f"  {check.detail}", "red"))
    if not full and len(failed) > FINDINGS:
        out.print(_line(f"  and {len(failed) - FINDINGS} more failed checks", "red"))
    if report.operational:
        out.print(_versions(report))
    names = by_severity(report)
    if names:
        out.print(_columns(report, names if full else names[:ROWS]))
    if not full and len(names) > ROWS:
        out.print(_line(f"  {len(names) - ROWS} more columns, less changed than these", "dim"))


def _line(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(formats.clean(text), style=style)


def _headline(report: Report) -> Text:
    text = _line(report.name, "bold")
    text.append(f"  {report.verdict}  ", _STYLES[report.verdict])
    return text.append(formats.clean(report.headline()))


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False, header_style="bold")


def _versions(report: Report) -> Table:
    table = _table()
    table.add_column("version")
    for name in ("requests", "errors", "p50", "p90", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    broken = {check.column for check in report.checks if not check.passed}
    for one in report.operational:
        times = (formats.seconds(value) for value in (one.latency_p50, one.latency_p90, one.latency_p99))
        errors = f"{formats.count(one.errors)} ({formats.share(one.error_share)})"
        style = "red" if one.version in broken else ""
        table.add_row(_line(one.version), formats.count(one.requests), errors, *times, style=style)
    return table


def _columns(report: Report, names: list[str]) -> Table:
    table = _table()
    table.add_column("column", overflow="fold")
    table.add_column("period", overflow="fold")
    for name in ("PSI", "KS", "JS", "missing"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name in names:
        found = [(period.label, column) for period in report.periods if (column := period.column(name))]
        for at, (label, column) in enumerate(found):
            table.add_row(_line(formats.clip(name, 30) if at == 0 else ""), _line(label), *_cells(column))
    return table


def _cells(column: ColumnReport) -> list[Text]:
    numbers = [formats.distance(value) for value in (column.psi, column.ks, column.js)]
    verdict = verdict_of([column])
    word: str = "failed, drift" if column.failed and column.drifted else verdict
    word += " (few rows)" if column.note == UNDECIDED else ""
    return [*map(_line, (*numbers, formats.share(column.missing))), _line(word, _STYLES[verdict])]
