"""The page's table of columns, and a card of charts for each column that needs a look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import datetime

from . import formats
from .html_parts import SERIES, Shown, badge, by_severity, esc, key, shown_periods, style_at, verdict_of
from .report import ColumnReport, Report, Verdict
from .svg import Series, Track, bars, histogram, over_time, sparkline

#: How many columns the table lists, and how many get charts: the worst ones.
ROWS = 200
CARDS = 24

Broken = Mapping[tuple[str | None, str | None], Set[str]]

_BEYOND = frozenset({"range", "new_categories", "types"})


def column_table(report: Report) -> str:
    """Every column, the worst first, in each period."""
    names = by_severity(report)
    if not names:
        return ""
    heads = ("Column", "Period", "Shape", "PSI", "KS", "JS", "χ²", "p", "Missing", "New or out of range", "")
    head = "".join(f"<th{' class=left' if at < 3 else ''}>{name}</th>" for at, name in enumerate(heads))
    broken = _broken(report)
    rows = "".join(_column_rows(report, name, broken) for name in names[:ROWS])
    return (
        f'<h2>The columns</h2>{_keys(report)}<div class="card scroll"><table class="stack"><thead><tr>{head}</tr>'
        f"</thead>{rows}</table>{_rest(len(names) - ROWS, 'columns, less changed than these')}</div>"
    )


def column_charts(report: Report) -> str:
    """The drifted and failed columns: their shape against the reference, and how they moved."""
    shown = {name: shown_periods(report, name) for name in by_severity(report)}
    noted = [name for name, found in shown.items() if _verdict(found) != "ok"]
    if not noted:
        return ""
    broken = _broken(report)
    cards = [_chart_card(report, name, shown[name], broken) for name in noted[:CARDS]]
    rest = _rest(len(noted) - CARDS, "columns with findings are in the table")
    return f'<h2>The columns with findings</h2><div class="grid charts">{"".join(cards)}</div>{rest}'


def _keys(report: Report) -> str:
    few = len(report.periods) <= SERIES
    periods = "".join(key(one.label, style_at(report, at)) for at, one in enumerate(report.periods) if few)
    return f'<div class="keys">{_reference_key(report)}{periods}</div>'


def _reference_key(report: Report) -> str:
    return key(report.reference.label, "ref") if report.reference else ""


def _rest(count: int, what: str) -> str:
    if count <= 0:
        return ""
    return f'<p class="soft small">{formats.count(count)} more {what}; the JSON report has them all.</p>'


def _verdict(shown: Sequence[Shown]) -> Verdict:
    return verdict_of([one.column for one in shown])


def _column_rows(report: Report, name: str, broken: Broken) -> str:
    shown = shown_periods(report, name)
    unit = f", {esc(report.units[name])}" if name in report.units else ""
    kind = shown[0].column.kind
    title = f'<th rowspan="{len(shown)}">{esc(formats.clip(name, 120))}<small>{esc(kind)}{unit}</small></th>'
    rows = []
    for at, one in enumerate(shown):
        cells = _cells(one, broken.get((one.period.label, name), frozenset()))
        rows.append(f"<tr>{'' if at else title}{cells}</tr>")
    return f"<tbody>{''.join(rows)}</tbody>"


def _broken(report: Report) -> Broken:
    """Period and column to the names of the violated checks."""
    found: dict[tuple[str | None, str | None], set[str]] = {}
    for label, check in report.violations():
        found.setdefault((label, check.column), set()).add(check.name)
    return found


def _cells(shown: Shown, broken: Set[str]) -> str:
    column, shape = shown.column, shown.column.histogram
    spark = sparkline(shape.reference, shape.current, shown.style) if shape else ""
    pvalue = column.ks_pvalue if column.ks_pvalue is not None else column.chi2_pvalue
    note = f"<small>{esc(column.note)}</small>" if column.note else ""
    return "".join(
        (
            f'<td class="left plain">{shown.key}</td>',
            f'<td class="left plain"><span>{spark}{note}</span></td>',
            _cell("PSI", formats.distance(column.psi), "over" if "psi" in broken else "", _meter(column.psi)),
            _cell("KS", formats.distance(column.ks), "over" if "ks" in broken else ""),
            _cell("JS", formats.distance(column.js), "over" if "js" in broken else ""),
            _cell("χ²", formats.distance(column.chi2), "over" if "chi2_pvalue" in broken else ""),
            _cell("p", formats.pvalue(pvalue), ""),
            _cell("missing", formats.share(column.missing), "bad" if "missing" in broken else "", _usual(column)),
            _cell("new / out", _beyond(column), "bad" if broken & _BEYOND else ""),
            f'<td class="plain last">{badge(verdict_of([column]))}</td>',
        )
    )


def _cell(label: str, text: str, style: str, beside: str = "") -> str:
    """A cell of escaped text, with markup beside it."""
    style = "empty" if text == formats.NOTHING else style
    styled = f' class="{style}"' if style else ""
    return f'<td data-label="{label}"{styled}><span>{esc(text)}{beside}</span></td>'


def _meter(psi: float | None) -> str:
    """A bar that is full at 1, where hardly anything is left of the reference's shape."""
    return "" if psi is None else f'<span class="meter"><i style="width:{min(psi, 1.0) * 100:.0f}%"></i></span>'


def _usual(column: ColumnReport) -> str:
    usual = column.missing_reference or 0.0
    return f"<small>reference {esc(formats.share(usual))}</small>" if usual >= 0.005 else ""


def _beyond(column: ColumnReport) -> str:
    found = [
        f"{formats.share(share)} {what}"
        for share, what in ((column.types, "wrong type"), (column.outside, "out"), (column.new_categories, "new"))
        if share
    ]
    return ", ".join(found) or formats.NOTHING


def _chart_card(report: Report, name: str, shown: Sequence[Shown], broken: Broken) -> str:
    unit = report.units.get(name, "")
    label = f"{formats.clip(name, 36)} ({unit})" if unit else formats.clip(name, 44)
    keys = "".join(key(one.period.label, one.style, _index(one.column)) for one in shown)
    charts = _shape(shown, label) + _movement(report, name, shown, label)
    return (
        f'<section class="card"><header><h3>{esc(formats.clip(name, 120))}</h3>{badge(_verdict(shown))}</header>'
        f'<div class="keys">{_reference_key(report)}{keys}</div>{charts}{_remarks(shown, broken, name)}</section>'
    )


def _index(column: ColumnReport) -> str:
    return "" if column.psi is None else f"PSI {formats.distance(column.psi)}"


def _shape(shown: Sequence[Shown], label: str) -> str:
    shapes = [(one, one.column.histogram) for one in shown if one.column.histogram is not None]
    if not shapes:
        return ""
    first = shapes[0][1]
    series = [Series("ref", first.reference)] if first.reference else []
    series += [Series(one.style, shape.current) for one, shape in shapes]
    if first.edges is not None:
        return histogram(first.edges, series, label)
    return bars(first.labels or (), series, label)


def _movement(report: Report, name: str, shown: Sequence[Shown], label: str) -> str:
    tracks = []
    for one in shown:
        if (trend := one.column.trend) is not None:
            times = [datetime.fromisoformat(start).timestamp() for start in trend.starts]
            tracks.append(Track(one.style, times, trend.low, trend.middle, trend.high))
    if not tracks:
        return ""
    band = report.reference.bands.get(name, ()) if report.reference else ()
    caption = "Median and middle 80% over time (UTC); grey: the reference's."
    return f'{over_time(tracks, band, label)}<div class="soft small">{caption}</div>'


def _remarks(shown: Sequence[Shown], broken: Broken, name: str) -> str:
    """What the charts do not show: new categories by name, missing values, and why nothing was compared."""
    lines = []
    for one in shown:
        label, column = one.period.label, one.column
        if column.new_names:
            new = formats.enumeration([repr(formats.clip(text, 30)) for text in column.new_names])
            lines.append(f"{label}: {formats.share(column.new_categories)} in new categories, {new}")
        if "missing" in broken.get((label, name), ()):
            usual = f", reference {formats.share(column.missing_reference)}" if column.missing_reference else ""
            lines.append(f"{label}: {formats.share(column.missing)} missing{usual}")
        if column.types:
            lines.append(f"{label}: {formats.share(column.types)} of the wrong type")
        if column.note:
            lines.append(f"{label}: {column.note}")
    return "".join(f'<p class="small soft">{esc(line)}</p>' for line in lines)
