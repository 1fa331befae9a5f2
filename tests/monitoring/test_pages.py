"""The page and the terminal's tables: complete, safe and bounded."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from cloudops.monitoring import Checks, Period, Report, VersionMetrics, assess, formats, from_rows, html, svg, terminal

pytestmark = pytest.mark.filterwarnings("error")

NASTY = "<script>alert(1)</script>\"' onload=x & ü 東京 \u202e\x00"
VOID = {"meta"}


class Page(HTMLParser):
    """Checks that elements nest, and collects them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def count(self, tag: str, **attributes: str) -> int:
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.elements)


def plain(report: Report, width: int = 80, **options: bool) -> str:
    out = io.StringIO()
    terminal.render(report, Console(file=out, width=width), **options)
    return out.getvalue()


def wide(columns: int, rows: int, shift: float = 0.0, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({f"column {number}": rng.normal(shift, 1, rows) for number in range(columns)})


@pytest.fixture
def nasty() -> Report:
    """Names that are markup, in every place that a name can have."""
    rng = np.random.default_rng(0)
    reference = pl.DataFrame({NASTY: rng.normal(size=500), "x" * 200: rng.choice(["a", NASTY + "1"], 500)})
    moved = pl.DataFrame({NASTY: rng.normal(3, 1, 400), "x" * 200: [NASTY + "2"] * 400, NASTY + "3": [1] * 400})
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(400)]
    periods = [Period(NASTY, moved, times=times), Period("b" * 300, reference), Period("gone", reference.select(NASTY))]
    versions = [VersionMetrics(NASTY, 10, 5, 1.0, 2.0, 3.0, 60)]
    limits = Checks(errors=0.1, latency_p99=0.1, new_categories=0.0, chi2_pvalue=0.01)
    named = {"reference_label": NASTY, "units": {NASTY: NASTY, "x" * 200: "u" * 200}}
    return assess(NASTY, periods, reference=reference, checks=limits, operational=versions, **named)


def test_the_page_stands_alone_and_runs_nothing(nasty):
    text = html.render(nasty)
    page = Page(text)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "img", "object", "base", "form"})
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), tag
        assert {"src", "href", "xlink:href", "action", "srcdoc"}.isdisjoint(attributes), tag
    assert not re.search(r"url\(|@import|https?:", text)
    assert "\x00" not in text
    assert "\u202e" not in text
    assert len(text.encode()) < 100_000


def test_the_page_shows_what_was_found(winter, june, july):
    versions = [VersionMetrics("v1", 28_243, 12, 0.004, 0.009, 0.031, 3600)]
    periods = [Period("june", june, times="time_hour"), Period("july", july, times="time_hour")]
    named = {"units": {"temp": "°F", "pressure": "hPa"}, "reference_label": "winter"}
    report = assess("flights", periods, reference=winter, operational=versions, ignore=["time_hour"], **named)
    page = Page(html.render(report))
    shown = " ".join(page.text)
    for words in (
        "Volume",
        "Velocity",
        "Veracity",
        "Variety",
        "temp (°F)",
        "share of rows, %",
        "28,243",
        "31 ms",
        "winter",
    ):
        assert words in shown, words
    for period in report.periods:
        for column in period.columns:
            assert column.name in shown
            assert formats.distance(column.psi) in shown
    drawn = len(report.drifted)
    assert page.count("svg", **{"class": "spark"}) == sum(len(period.columns) for period in report.periods)
    # A shape and a movement for each drifted column, and the arrivals of each period.
    assert page.count("svg", role="img") == 2 * drawn + len(report.periods)


def test_hundreds_of_columns_stay_bounded():
    report = assess(
        "wide",
        [Period("one", wide(500, 200, 1.0, 1)), Period("two", wide(500, 200, 1.0, 2))],
        reference=wide(500, 200),
    )
    assert len(report.drifted) == 500
    page = html.render(report)
    assert len(page) < 800_000
    Page(page)
    assert len(report.to_json()) < 4_000_000
    assert "300 more columns" in page
    assert "480 more columns" in plain(report)
    assert "column 499" in plain(report, full=True)


def test_many_periods_show_the_latest_and_the_worst():
    periods = [Period(f"day {day}", wide(1, 300, shift=day == 7, seed=day + 1)) for day in range(30)]
    report = assess("daily", periods, reference=wide(1, 300))
    text = html.render(report)
    page = Page(text)
    rows = sum(tag == "svg" and found.get("class") == "spark" for tag, found in page.elements)
    assert rows == 2
    assert "day 7" in text
    assert "day 29" in text
    assert "and 24 earlier periods" in text


CORNERS: dict[str, tuple[list[object], pl.DataFrame | None]] = {
    "nothing": ([], None),
    "empty": ([pl.DataFrame()], wide(2, 10)),
    "one row": ([wide(1, 1)], wide(1, 1)),
    "one column": ([wide(1, 50)], wide(1, 50)),
    "no reference": ([wide(2, 50)], None),
    "no names": ([from_rows([{}, None, 3, "x"])], None),
    "constant": ([pl.DataFrame({"x": [1.0] * 99})], pl.DataFrame({"x": [2.0] * 99})),
    "huge": ([pl.DataFrame({"x": [-1.7e308, 1.7e308] * 50})], wide(1, 9)),
    "huge too": ([wide(1, 99) * 1e308], wide(1, 99) * 1e300),
    "far apart": ([pl.DataFrame({"x": [0.0, 1e300] * 9})], pl.DataFrame({"x": [0.0, 1e-300] * 9})),
    "tiny": ([wide(1, 99) * 5e-324], wide(1, 99) * 1e-310),
    "all missing": ([pl.DataFrame({"column 0": [None, None]})], wide(1, 9)),
}


@pytest.mark.parametrize("name", CORNERS)
def test_corner_cases_are_drawn(name):
    tables, reference = CORNERS[name]
    report = assess(name, [Period("p", table) for table in tables], reference=reference)
    draw(report)


def test_rows_of_one_instant_are_drawn():
    draw(assess("one instant", [Period("p", wide(1, 9, 9.0), times=[5.0] * 9)], reference=wide(1, 99)))


def draw(report: Report) -> None:
    text = html.render(report)
    Page(text)
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<style>.*?</style>", "", text, flags=re.S))
    assert report.name in plain(report)
    assert Report.from_json(report.to_json()) == report


def test_the_terminal_fits_80_columns_and_obeys_no_escape_codes(nasty):
    text = plain(nasty)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text
    assert "\x00" not in text
    red = assess("a\x1b[31mb", [], reference=wide(1, 9))
    assert "\x1b" not in plain(red)
    assert "\x1b" not in "".join(red.lines())


def test_the_terminal_names_verdict_columns_and_versions(winter, july):
    report = assess(
        "flights",
        [Period("july", july)],
        reference=winter,
        ignore=["time_hour"],
        checks=Checks(errors=0.01),
        operational=[VersionMetrics("v7", 100, 50)],
    )
    text = plain(report)
    assert text.startswith("flights  failed  1 check failed. Drifted in july: temp, dewp,")
    assert "version v7: errors 50.0%, at most 1.0% allowed" in text
    assert re.search(r"temp +july +8\.\d\d +0\.\d+ +0\.\d+ +0\.\d% +drift", text)
    assert re.search(r"distance +july +0\.\d+ .* ok", text)


def test_numbers_as_people_read_them():
    assert [formats.share(value) for value in (0, 1e-9, 0.0123, 0.99999, 1, None)] == [
        *("0%", "<0.1%", "1.2%", ">99.9%", "100%", "–")
    ]
    assert [formats.distance(value) for value in (0, 1e-9, 0.0471, 7.841, 1234.5)] == [
        "0",
        "<0.001",
        "0.047",
        "7.84",
        "1,234",
    ]
    assert [formats.seconds(value) for value in (0.0312, 2.5)] == ["31.2 ms", "2.5 s"]
    assert [formats.duration(value) for value in (0.5, 60, 3725, 2_570_400)] == [
        "0.5 s",
        "1 min",
        "1 h 2 min",
        "29 days 18 h",
    ]
    assert [formats.rate(value) for value in (0, 0.28, 12.3, 0.0001)] == [
        "0/s",
        "1,008 an hour (0.28/s)",
        "12.3/s",
        "8.64 a day (0.0001/s)",
    ]
    assert [formats.enumeration(names) for names in ([], ["a"], list("abc"), list("abcdefg"))] == [
        *("", "a", "a, b and c", "a, b, c, d, e and 2 more")
    ]
    assert formats.clip("temperature_at_gate_42", 12) == "tempera…e_42"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 87), (1e-9, 3e-9), (-1e300, 1e300), (1013.2, 1013.4)])
def test_ticks_are_round_and_inside(low, high):
    marks = svg.ticks(low, high)
    assert 2 <= len(marks) <= 8
    slack = (high - low) * 1e-6
    assert all(low - slack <= mark <= high + slack for mark in marks)
    assert svg.ticks(5, 5) == [5]
