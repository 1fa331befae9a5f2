"""Numbers and names as people read them; the terminal and the page use the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

NOTHING: Final = "–"
_UNITS: Final = ((86400, "day"), (3600, "h"), (60, "min"))


def count(value: int | None) -> str:
    """``28243`` as ``28,243``."""
    return NOTHING if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """``0.0123`` as ``1.2%``; what is not zero never reads as zero, nor what is not all as all."""
    if value is None:
        return NOTHING
    if 0 < value < 0.0005:
        return "<0.1%"
    if 0.9995 <= value < 1:
        return ">99.9%"
    return f"{value * 100:.1f}%" if value not in (0, 1) else f"{value * 100:.0f}%"


def distance(value: float | None) -> str:
    """A statistic to three decimals at most, such as ``0.047`` and ``7.84``."""
    if not value:
        return NOTHING if value is None else "0"
    if value < 0.0005:
        return "<0.001"
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def pvalue(value: float | None) -> str:
    """A probability; the very small ones as a bound."""
    if value is None:
        return NOTHING
    return "<0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def seconds(value: float | None) -> str:
    """A latency: ``0.0312`` as ``31.2 ms``."""
    if value is None:
        return NOTHING
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def duration(value: float | None) -> str:
    """A length of time in its two largest units: ``29 days 18 h``."""
    if value is None:
        return NOTHING
    for at, (size, unit) in enumerate(_UNITS):
        if value >= size:
            small, small_unit = _UNITS[at + 1] if at + 1 < len(_UNITS) else (1, "s")
            whole, rest = divmod(value, size)
            plural = "s" if unit == "day" and whole > 1 else ""
            return f"{whole:.0f} {unit}{plural}" + (f" {rest // small:.0f} {small_unit}" if rest >= small else "")
    return f"{value:.3g} s"


def rate(per_second: float | None) -> str:
    """Rows per second, and where that is less than one, per hour or day besides."""
    if per_second is None:
        return NOTHING
    if per_second >= 1 or per_second == 0:
        return f"{per_second:,.3g}/s" if per_second < 1000 else f"{per_second:,.0f}/s"
    hourly = per_second * 3600
    friendly = f"{hourly:,.0f} an hour" if hourly >= 10 else f"{hourly * 24:.3g} a day"
    return f"{friendly} ({per_second:.2g}/s)"


def number(value: float) -> str:
    """A value of a column, for an axis: ``1017.6``, ``1.2e+09``."""
    if value == int(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.4g}"


def enumeration(names: Sequence[str], most: int = 5) -> str:
    """``a, b and c``; of more than ``most`` names the first ones and how many follow."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def clean(text: str) -> str:
    """Text on one line, without characters that terminals obey, that pages cannot hold or that reverse the reading."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", "\ufffd", text)


def clip(text: str, width: int) -> str:
    """At most ``width`` characters, the middle left out, for names often differ at their end."""
    text = clean(text)
    if len(text) <= width:
        return text
    head = (width - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
