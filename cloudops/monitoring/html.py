"""The report as one page: no script, nothing loaded from elsewhere, everything from the data escaped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files

from . import formats
from .html_columns import column_charts, column_table
from .html_parts import badge, esc, key, style_at
from .report import DRIFT_CHECKS, Checks, PeriodReport, Report, VersionMetrics
from .svg import strip

#: How many violated checks are written out; the rest is in the tables and in the JSON report.
FINDINGS = 12
#: Of how many periods, the latest ones, the page tells the four V; the rest is in the JSON report.
PERIODS = 6


def render(report: Report) -> str:
    """The page, as HTML text to be written in UTF-8."""
    sections = [
        _header(report),
        _findings(report),
        _four_v(report),
        _versions(report),
        column_table(report),
        column_charts(report),
        _method(report.thresholds),
    ]
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{esc(report.name)}: {esc(report.verdict)}</title><style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(section for section in sections if section)
        + f'\n<footer class="soft small">Made by cloudops, {esc(report.created)}.</footer>\n</main></body></html>\n'
    )


def _header(report: Report) -> str:
    reference = report.reference
    against = (
        f"Reference: {esc(reference.label)}, {formats.count(reference.rows)} rows of {reference.columns} columns."
        if reference
        else "No reference: nothing is known about drift."
    )
    return (
        f'<header><div class="title"><h1>{esc(report.name)}</h1>{badge(report.verdict)}</div>'
        f'<p class="headline">{esc(report.headline())}</p><p class="soft">{against}</p></header>'
    )


def _findings(report: Report) -> str:
    """What failed, in words; what drifted is the table's and the charts' matter."""
    failed = [(label, check) for label, check in report.violations() if check.name not in DRIFT_CHECKS]
    if not failed:
        return ""
    lines = [f"<li>{esc(f'{label}: ' if label else '')}{esc(check.detail)}</li>" for label, check in failed[:FINDINGS]]
    rest = len(failed) - FINDINGS
    more = f'<p class="soft small">And {rest} more; the JSON report has them all.</p>' if rest > 0 else ""
    return f'<h2>What failed</h2><div class="card"><ul class="findings">{"".join(lines)}</ul>{more}</div>'


def _four_v(report: Report) -> str:
    if not report.periods:
        return ""
    cards = [
        _card("Volume", "how much", report, _volume),
        _card("Velocity", "how fast", report, _velocity),
        _card("Veracity", "how true", report, _veracity),
        _card("Variety", "how diverse", report, _variety),
    ]
    return f'<h2>The data</h2><div class="grid four">{"".join(cards)}</div>'


def _card(title: str, meaning: str, report: Report, fill: Callable[[PeriodReport, str], str]) -> str:
    earlier = len(report.periods) - PERIODS
    more = f'<p class="soft small">and {earlier} earlier periods</p>' if earlier > 0 else ""
    parts = []
    for at, period in enumerate(report.periods):
        if at >= earlier:
            style = style_at(report, at)
            parts.append(f'<div class="period">{key(period.label, style)}{fill(period, style)}</div>')
    return f'<section class="card"><h3>{title}<span>{meaning}</span></h3>{"".join(parts)}{more}</section>'


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    return f'<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{esc(value)}</dd>" for name, value in pairs)}</dl>'


def _volume(period: PeriodReport, style: str) -> str:
    facts = [("rows", formats.count(period.rows))]
    if period.volume.reference_rows:
        facts.append(("of the reference's", formats.share(period.rows / period.volume.reference_rows)))
    return _facts(facts)


def _velocity(period: PeriodReport, style: str) -> str:
    facts = [
        ("rows", formats.rate(period.velocity.rows_per_second)),
        ("over", formats.duration(period.velocity.seconds)),
    ]
    if period.arrivals is None:
        return _facts(facts)
    each = formats.duration(period.arrivals.seconds).removeprefix("1 ")
    chart = strip(period.arrivals.rows, style, f"Rows per {each} in {period.label}")
    window = f'<span class="whole">{_window(period)}</span>'
    return f'{_facts(facts)}{chart}<div class="soft small">rows per {each}; {window}</div>'


def _window(period: PeriodReport) -> str:
    shown = 10 if (period.velocity.seconds or 0) > 2 * 86400 else 16
    started, ended = ((moment or "")[:shown].replace("T", " ") for moment in (period.started, period.ended))
    return esc(f"{started} to {ended}")


def _veracity(period: PeriodReport, style: str) -> str:
    truth = period.veracity
    return _facts(
        [
            ("missing cells", formats.share(truth.missing)),
            ("wrong type", formats.share(truth.types)),
            ("outside the range", formats.share(truth.outside)),
            ("repeated rows", formats.share(truth.duplicates)),
        ]
    )


def _variety(period: PeriodReport, style: str) -> str:
    variety = period.variety
    expected = f" of {variety.expected}" if variety.expected is not None else ""
    facts = [("columns", f"{variety.columns}{expected}")]
    named = (
        ("not there", variety.missing_columns),
        ("not expected", variety.unexpected_columns),
        ("new categories in", variety.new_categories),
    )
    return _facts(facts + [(what, _names(names)) for what, names in named if names])


def _names(names: Sequence[str]) -> str:
    return formats.enumeration([formats.clip(name, 40) for name in names], 3)


def _versions(report: Report) -> str:
    if not report.operational:
        return ""
    broken = {(check.column, check.name) for check in report.checks if not check.passed}
    heads = ("Version", "Requests", "Errors", "Share of errors", "p50", "p90", "p99", "Watched")
    head = "".join(f"<th{' class=left' if at == 0 else ''}>{name}</th>" for at, name in enumerate(heads))
    rows = "".join(_version(version, broken) for version in report.operational)
    return (
        '<h2>The versions</h2><div class="card"><table class="stack">'
        f"<thead><tr>{head}</tr></thead>{rows}</table>"
        '<p class="soft small">p50, p90, p99: the longest time that 50%, 90% and 99% of the requests took.</p></div>'
    )


def _version(version: VersionMetrics, broken: set[tuple[str | None, str]]) -> str:
    late = ' class="bad"' if (version.version, "latency_p99") in broken else ""
    wrong = ' class="bad"' if (version.version, "errors") in broken else ""
    cells = (
        ("", "requests", formats.count(version.requests)),
        (wrong, "errors", formats.count(version.errors)),
        (wrong, "share", formats.share(version.error_share)),
        ("", "p50", formats.seconds(version.latency_p50)),
        ("", "p90", formats.seconds(version.latency_p90)),
        (late, "p99", formats.seconds(version.latency_p99)),
        ("", "watched", formats.duration(version.seconds)),
    )
    filled = "".join(f'<td{style} data-label="{label}">{esc(value)}</td>' for style, label, value in cells)
    return f"<tbody><tr><th>{esc(version.version)}</th>{filled}</tr></tbody>"


def _limits(limits: Checks) -> str:
    named = (
        ("PSI", limits.psi, formats.number),
        ("KS", limits.ks, formats.number),
        ("JS", limits.js, formats.number),
        ("p of χ² at least", limits.chi2_pvalue, formats.number),
        ("significance", limits.significance, formats.number),
        ("missing beyond the reference", limits.missing, formats.share),
        ("wrong type", limits.types, formats.share),
        ("out of range", limits.range, formats.share),
        ("new categories", limits.new_categories, formats.share),
        ("repeated rows", limits.duplicates, formats.share),
        ("p99", limits.latency_p99, formats.seconds),
        ("errors", limits.errors, formats.share),
    )
    return ", ".join(f"{name} {shown(value)}" for name, value, shown in named if value is not None) or "none"


def _method(limits: Checks) -> str:
    return (
        '<h2>How to read this</h2><div class="card narrowed small">'
        "<p><b>PSI</b>, the population stability index, compares shares over bins that hold a tenth of the reference "
        "each (or over the categories): below 0.1 is usual, above 0.2 the data has changed. <b>KS</b>, the "
        "Kolmogorov-Smirnov statistic, is the largest gap between two distribution functions, 0 to 1. <b>JS</b>, the "
        "Jensen-Shannon distance to base 2, is 0 for equal and 1 for disjoint distributions. <b>χ²</b> tests whether "
        "categories keep their shares. <b>p</b> is how often chance alone brings a difference as large (by KS for "
        "numbers, by χ² for categories); a distance counts as drift only where p is below the significance.</p>"
        "<p>Missing values are left out of the distances. The outer bars of a chart also hold what lies beyond it.</p>"
        f"<p>Limits that applied: {esc(_limits(limits))}.</p></div>"
    )
