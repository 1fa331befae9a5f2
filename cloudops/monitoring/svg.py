"""The charts of the report's page: small functions from numbers to inline SVG, coloured by the page's classes.

Every chart is drawn in a box of ``WIDTH`` units, about as wide as a phone, so that its text stays readable there.
Series have the classes ``ref`` and ``s0`` to ``s3``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

from .formats import clip, number

WIDTH: Final = 380
LEFT: Final = 40
RIGHT: Final = 8
#: The most width of categories' names, in units, and how many characters fit into it.
NAMES, LETTERS = 112, 17
#: The distances between marks of time to choose from, in seconds.
_MOMENTS: Final = (
    1,
    5,
    15,
    60,
    300,
    900,
    1800,
    *(hours * 3600 for hours in (1, 3, 6, 12, 24, 48, 168, 336, 720, 2160)),
)


@dataclass(frozen=True, slots=True)
class Series:
    """One line or one set of bars: its class, and a share per bin."""

    style: str
    shares: Sequence[float]


@dataclass(frozen=True, slots=True)
class Track:
    """One line over time: its class, and instants (seconds since 1970) with low, middle and high values."""

    style: str
    times: Sequence[float]
    low: Sequence[float]
    middle: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight map from values to units of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies; a scale without width puts everything in its middle."""
        width = self.high - self.low
        if width <= 0 or not math.isfinite(width):
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / width * (self.end - self.start)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``wanted`` of them."""
    width = high - low
    if not math.isfinite(width) or width <= 0:
        return [low]
    rough = width / wanted
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next((size * magnitude for size in (1, 2, 2.5, 5) if size * magnitude >= rough), 10 * magnitude)
    first = math.ceil(low / step - 1e-9)
    return [at * step for at in range(first, math.floor(high / step + 1e-9) + 1)]


def sparkline(reference: Sequence[float], current: Sequence[float], style: str) -> str:
    """A shape without axes: the reference filled, the current rows as a line."""
    top = max([*reference, *current, 1e-9])
    steps = Scale(0, top, 31, 2)
    filled = f'<path class="ref area" d="{_steps(reference, steps, 0, 120)}V31H0Z"/>' if reference else ""
    line = f'<path class="{style} line" d="{_steps(current, steps, 0, 120)}"/>'
    return f'<svg class="spark" viewBox="0 0 120 32" aria-hidden="true">{filled}{line}</svg>'


def histogram(edges: Sequence[float], series: Sequence[Series], label: str) -> str:
    """Distributions of a number laid over another; the first one is filled.

    Args:
        edges: of the bins, ascending.
        series: a share per bin each.
        label: the axis: the column and its unit.
    """
    height, bottom = 210, 172
    across = Scale(edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    up = Scale(0, max(max(one.shares, default=0) for one in series) * 1.05 or 1, bottom, 10)
    parts = [_share_axis(up), _value_axis(across, bottom), _axis_name(label, (LEFT + WIDTH - RIGHT) / 2, height - 6)]
    for one in series:
        path = _steps(one.shares, up, LEFT, WIDTH - RIGHT)
        if one.style == "ref":
            parts.append(f'<path class="ref area" d="{path}V{bottom}H{LEFT}Z"/>')
        else:
            parts.append(f'<path class="{one.style} line" d="M{LEFT} {bottom}V{path[1:].split(" ", 1)[1]}V{bottom}"/>')
    return _figure(height, f"Distribution of {label}", parts)


def bars(labels: Sequence[str], series: Sequence[Series], label: str) -> str:
    """Shares of categories side by side, one group of bars each."""
    thick = 9 if len(series) < 4 else 6
    group = thick * len(series) + 7
    bottom = 8 + group * len(labels)
    left = max(LEFT, NAMES * min(1.0, max(map(len, labels)) / LETTERS))
    across = Scale(0, max(max(one.shares, default=0) for one in series) or 1, left, WIDTH - RIGHT - 4)
    parts = [_bar_grid(across, bottom), _axis_name(f"share of rows by {label}, %", (left + WIDTH) / 2, bottom + 31)]
    for at, name in enumerate(labels):
        top = 8 + group * at
        parts.append(_name(name, left - 6, top + group / 2))
        parts += [_bar(one, at, across, top + order * thick, thick - 1) for order, one in enumerate(series)]
    return _figure(bottom + 36, f"Shares of {label}", parts)


def over_time(tracks: Sequence[Track], band: Sequence[float], label: str) -> str:
    """How a number moved: the middle as a line, the middle 80 % as an area, the reference's as a band."""
    height, bottom = 170, 128
    times = [time for one in tracks for time in one.times]
    values = [*band, *(value for one in tracks for value in (*one.low, *one.high))]
    across = Scale(min(times), max(times), LEFT, WIDTH - RIGHT)
    room = (max(values) / 2 - min(values) / 2) * 0.08
    up = Scale(min(values) - room, max(values) + room, bottom, 8)
    parts = [_plain_axis(up), _time_axis(across, bottom), _axis_name(label, (LEFT + WIDTH - RIGHT) / 2, height - 6)]
    if band:
        parts.append(_band(band, up))
    parts += [_track(one, across, up) for one in tracks]
    return _figure(height, f"{label} over time", parts)


def strip(counts: Sequence[int], style: str, description: str) -> str:
    """Rows per stretch of time as a row of bars, without axes."""
    up, wide = Scale(0, max([*counts, 1]), 0, 34), WIDTH / len(counts)
    parts = [
        f'<rect class="{style} bar" x="{at * wide:.1f}" y="{36 - up(rows):.1f}" width="{max(wide - 1, 0.5):.1f}" '
        f'height="{up(rows):.1f}"/>'
        for at, rows in enumerate(counts)
    ]
    return _figure(36, description, parts)


def _figure(height: float, description: str, parts: Sequence[str]) -> str:
    about = escape(clip(description, 200))
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{about}">{"".join(parts)}</svg>'


def _steps(shares: Sequence[float], up: Scale, start: float, end: float) -> str:
    """A path along the tops of equally wide bins; repeated heights are not written."""
    wide = (end - start) / max(len(shares), 1)
    path, last = [f"M{start:g} {up(shares[0]):.1f}"], up(shares[0])
    for at, share in enumerate(shares[1:], start=1):
        if round(up(share), 1) != round(last, 1):
            path.append(f"H{start + at * wide:.1f}V{up(share):.1f}")
            last = up(share)
    return "".join([*path, f"H{end:g}"])


def _share_axis(up: Scale) -> str:
    lines = [_grid_line(up(share), number(round(share * 100, 6))) for share in ticks(0, up.high, 4)]
    middle = (up.start + up.end) / 2
    turned = f'transform="translate(9 {middle:g})rotate(-90)" text-anchor="middle"'
    return f'{"".join(lines)}<text class="axis" {turned}>share of rows, %</text>'


def _plain_axis(up: Scale) -> str:
    return "".join(_grid_line(up(value), number(value)) for value in ticks(up.low, up.high, 4))


def _grid_line(y: float, text: str) -> str:
    line = f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
    return f'{line}<text x="{LEFT - 4}" y="{y + 3.5:.1f}" text-anchor="end">{escape(text)}</text>'


def _value_axis(across: Scale, bottom: float) -> str:
    marks = "".join(_mark(across(value), bottom, number(value)) for value in ticks(across.low, across.high, 6))
    return f'<path class="base" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>{marks}'


def _mark(x: float, bottom: float, text: str) -> str:
    # A label at either end keeps within the drawing.
    near = "end" if x > WIDTH - 24 else "middle"
    line = f'<path class="base" d="M{x:.1f} {bottom}v4"/>'
    return f'{line}<text x="{x:.1f}" y="{bottom + 16}" text-anchor="{near}">{escape(text)}</text>'


def _time_axis(across: Scale, bottom: float) -> str:
    span = across.high - across.low
    step = next((one for one in _MOMENTS if span / one <= 5), span / 4)
    moments = [at * step for at in range(math.ceil(across.low / step), math.floor(across.high / step) + 1)]
    marks = [_mark(across(at), bottom, _moment(at, span)) for at in moments]
    return f'<path class="base" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>{"".join(marks)}'


def _moment(at: float, span: float) -> str:
    when = datetime.fromtimestamp(at, UTC)
    if span < 2 * 86400:
        return f"{when:%H:%M:%S}" if span < 600 else f"{when:%H:%M}"
    return f"{when.day} {when:%b}" if span < 400 * 86400 else f"{when:%b %Y}"


def _bar(one: Series, at: int, across: Scale, y: float, height: float) -> str:
    width = across(one.shares[at]) - across.start
    return f'<rect class="{one.style} bar" x="{across.start:g}" y="{y}" width="{width:.1f}" height="{height}"/>'


def _bar_grid(across: Scale, bottom: float) -> str:
    lines = []
    for share in ticks(0, across.high, 4):
        x = across(share)
        lines.append(f'<path class="grid" d="M{x:.1f} 4V{bottom}"/>{_mark(x, bottom, number(round(share * 100, 6)))}')
    return "".join(lines)


def _axis_name(text: str, x: float, y: float) -> str:
    return f'<text class="axis" x="{x:g}" y="{y:g}" text-anchor="middle">{escape(clip(text, 52))}</text>'


def _name(text: str, x: float, y: float) -> str:
    shown, whole = escape(clip(text, LETTERS)), escape(clip(text, 300))
    return f'<text x="{x:g}" y="{y:g}" text-anchor="end">{shown}<title>{whole}</title></text>'


def _band(band: Sequence[float], up: Scale) -> str:
    low, middle, high = (up(value) for value in band)
    area = (
        f'<rect class="ref area" x="{LEFT}" y="{high:.1f}" width="{WIDTH - RIGHT - LEFT}" height="{low - high:.1f}"/>'
    )
    return f'{area}<path class="ref line" d="M{LEFT} {middle:.1f}H{WIDTH - RIGHT}"/>'


def _track(one: Track, across: Scale, up: Scale) -> str:
    upper = [f"{across(at):.1f} {up(value):.1f}" for at, value in zip(one.times, one.high, strict=True)]
    lower = [f"{across(at):.1f} {up(value):.1f}" for at, value in zip(one.times, one.low, strict=True)]
    middle = [f"{across(at):.1f} {up(value):.1f}" for at, value in zip(one.times, one.middle, strict=True)]
    area = f'<path class="{one.style} band" d="M{"L".join([*upper, *reversed(lower)])}Z"/>'
    if len(middle) == 1:
        x, y = middle[0].split()
        return f'{area}<circle class="{one.style} bar" cx="{x}" cy="{y}" r="3"/>'
    return f'{area}<path class="{one.style} line" d="M{"L".join(middle)}"/>'
