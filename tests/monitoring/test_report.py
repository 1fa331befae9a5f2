"""From tables to verdicts."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from cloudops.monitoring import Captured, Checks, Period, Report, VersionMetrics, assess, from_rows, profile
from cloudops.monitoring.report import SEVERITY, worst

pytestmark = pytest.mark.filterwarnings("error")

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def table(rows: int = 2000, shift: float = 0.0, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"x": rng.normal(shift, 1, rows), "c": rng.choice(["a", "b", "c"], rows)})


def judge(*tables: pl.DataFrame | Captured, **options: object) -> Report:
    periods = [Period(f"p{number}", one) for number, one in enumerate(tables)]
    return assess("test", periods, **{"reference": table(), "now": NOON, **options})


def violated(report: Report) -> set[tuple[str | None, str, str | None]]:
    return {(label, check.name, check.column) for label, check in report.violations()}


def test_the_same_distribution_is_ok():
    report = judge(table(seed=1))
    assert (report.verdict, report.drifted, violated(report)) == ("ok", (), set())
    assert report.lines() == ["test: Every check passed."]


def test_a_moved_column_is_drift_and_named():
    report = judge(table(seed=1), table(shift=1, seed=2))
    assert report.verdict == "drift"
    assert report.drifted == ("x",)
    assert [period.verdict for period in report.periods] == ["ok", "drift"]
    assert violated(report) == {("p1", "psi", "x")}
    assert "Drifted in p1: x." in report.headline()


def test_drifted_columns_come_by_stability_index_and_over_all_periods():
    reference = pl.DataFrame({name: np.random.default_rng(0).normal(size=2000) for name in "abc"})
    first = reference.with_columns(a=pl.col("a") + 1)
    second = reference.with_columns(b=pl.col("b") + 5)
    report = judge(first, second, reference=reference)
    assert report.drifted == ("b", "a")
    assert [period.drifted for period in report.periods] == [("a",), ("b",)]


def test_chance_among_few_rows_is_no_drift():
    few = table(rows=15, seed=3)
    report = judge(few)
    column = report.periods[0].column("x")
    assert column.psi > 0.2
    assert (column.drifted, report.verdict) == (False, "ok")
    assert "too few rows" in column.note
    assert "x" in judge(few, checks=Checks(significance=None)).drifted
    assert judge(table(rows=15, shift=4, seed=3)).drifted == ("x",)


def test_each_distance_has_its_limit():
    moved = table(shift=0.5, seed=4).with_columns(c=pl.lit("a"))
    off = Checks(psi=None)
    assert judge(moved, checks=off).verdict == "ok"
    assert violated(judge(moved, checks=Checks(psi=None, ks=0.1))) == {("p0", "ks", "x")}
    assert violated(judge(moved, checks=Checks(psi=None, js=0.1))) == {("p0", "js", "x"), ("p0", "js", "c")}
    assert violated(judge(moved, checks=Checks(psi=None, chi2_pvalue=0.01))) == {("p0", "chi2_pvalue", "c")}


def test_a_value_at_its_limit_is_allowed():
    moved = table(shift=0.5, seed=4).with_columns(c=pl.lit("a"))
    psi = judge(moved).periods[0].column("x").psi
    pvalue = judge(table(seed=8)).periods[0].column("c").chi2_pvalue
    assert "x" not in judge(moved, checks=Checks(psi=psi)).drifted
    assert "x" in judge(moved, checks=Checks(psi=psi * 0.999)).drifted
    assert judge(table(seed=8), checks=Checks(chi2_pvalue=pvalue)).verdict == "ok"
    assert judge(table(seed=8), checks=Checks(chi2_pvalue=pvalue * 1.001)).drifted == ("c",)


def test_a_failure_outranks_drift_and_both_are_told():
    moved = table(shift=1, seed=1).with_columns(c=pl.lit(None, dtype=pl.String))
    report = judge(moved)
    assert report.verdict == "failed"
    assert report.drifted == ("x",)
    assert violated(report) == {("p0", "missing", "c"), ("p0", "psi", "x")}
    assert next(report.violations())[1].name == "missing"
    assert report.periods[0].column("c").note == "every value is missing"


def test_missing_values_count_beyond_the_references_own():
    holes = table().with_columns(x=pl.when(pl.int_range(pl.len()) % 10 < 3).then(None).otherwise("x"))
    more = table(seed=1).with_columns(x=pl.when(pl.int_range(pl.len()) % 10 < 4).then(None).otherwise("x"))
    assert judge(holes, reference=holes).verdict == "ok"
    assert violated(judge(more, reference=holes)) == {("p0", "missing", "x")}
    assert judge(more, reference=holes, checks=Checks(missing=0.11)).verdict == "ok"
    column = judge(more, reference=holes).periods[0].column("x")
    assert (column.missing, column.missing_reference) == (0.4, 0.3)


def test_values_of_the_wrong_type_fail():
    known = profile(table())
    rows = [{"x": 0.1, "c": "a"}] * 99 + [{"x": "high", "c": "a"}]
    report = judge(from_rows(rows, reference=known), reference=known, checks=Checks(psi=None))
    assert violated(report) == {("p0", "types", "x")}
    column = report.periods[0].column("x")
    assert (column.types, column.missing, column.values) == (0.01, 0.0, 99)
    assert violated(judge(table().with_columns(x=pl.lit("high")))) == {("p0", "types", "x")}


def test_not_a_number_is_missing_and_not_a_category():
    numbers = pl.DataFrame({"c": ["1.0", "2.0"] * 50})
    column = judge(pl.DataFrame({"c": [1.0, float("nan")] * 50}), reference=numbers).periods[0].column("c")
    assert (column.missing, column.types, column.values, column.new_names) == (0.5, 0.0, 50, ())


def test_values_out_of_range_and_new_categories():
    odd = table(100, seed=5).with_columns(x=pl.lit(99.0), c=pl.Series(["new"] * 10 + ["a"] * 90))
    limits = Checks(psi=None, range=0.5, new_categories=0.05)
    report = judge(odd, checks=limits)
    assert violated(report) == {("p0", "range", "x"), ("p0", "new_categories", "c")}
    column = report.periods[0].column("c")
    assert (column.new_categories, column.new_names) == (0.1, ("new",))
    assert report.periods[0].column("x").outside == 1.0
    assert report.periods[0].variety.new_categories == ("c",)
    assert judge(table(), checks=limits).periods[0].column("x").outside == 0.0


def test_columns_that_are_not_there_fail_and_others_are_named():
    report = judge(table(seed=1).drop("c").with_columns(extra=1))
    assert violated(report) == {("p0", "column", "c")}
    variety = report.periods[0].variety
    assert (variety.missing_columns, variety.unexpected_columns) == (("c",), ("extra",))
    assert judge(table(seed=1).drop("c"), ignore=["c"]).verdict == "ok"


def test_repeated_rows():
    twice = pl.concat([table(1000, seed=1)] * 2)
    assert judge(twice).periods[0].veracity.duplicates == 0.5
    assert violated(judge(twice, checks=Checks(duplicates=0.1))) == {("p0", "duplicates", None)}


def test_versions_are_held_against_their_limits():
    limits = Checks(latency_p99=0.2, errors=0.01)
    good = VersionMetrics("v1", requests=1000, errors=10, latency_p99=0.2)
    bad = VersionMetrics("v2", requests=100, errors=2, latency_p99=0.201)
    idle = VersionMetrics("v3", requests=0)
    assert judge(table(seed=1), checks=limits, operational=[good, idle]).verdict == "ok"
    report = judge(table(seed=1), checks=limits, operational=[good, bad, idle])
    assert report.verdict == "failed"
    assert violated(report) == {(None, "latency_p99", "v2"), (None, "errors", "v2")}
    assert "version v2: p99 latency 201 ms, at most 200 ms allowed" in report.lines()


def test_verdicts_without_data():
    assert judge().verdict == "no data"
    assert judge(table().clear()).verdict == "no data"
    assert judge(pl.DataFrame()).verdict == "no data"
    assert judge(from_rows([])).verdict == "no data"
    assert judge(table(seed=1), table().clear()).verdict == "no data"
    assert judge(table(shift=1), table().clear()).verdict == "drift"
    assert judge(operational=[VersionMetrics("v1", requests=5)]).verdict == "ok"
    assert judge(operational=[VersionMetrics("v1", requests=0)]).verdict == "no data"


@pytest.mark.parametrize("rows", [1, 2])
def test_next_to_no_rows(rows):
    report = judge(table(rows, seed=7))
    assert report.verdict == "ok"
    assert report.periods[0].rows == rows


def test_a_reference_without_rows_or_columns():
    for reference in (table().clear(), pl.DataFrame()):
        report = judge(table(), reference=reference)
        assert report.drifted == ()


def test_without_a_reference_nothing_is_said_about_drift():
    report = judge(table(), reference=None)
    assert (report.verdict, report.reference) == ("ok", None)
    assert report.periods[0].column("x").psi is None
    half = pl.DataFrame({"x": [1.0, None]})
    assert violated(judge(half, reference=None)) == {("p0", "missing", "x")}


def test_the_worst_verdict_counts():
    assert worst(SEVERITY) == "failed"
    assert worst(["ok", "no data"]) == "no data"
    assert worst(["ok", "drift", "no data"]) == "drift"
    assert worst([]) == "no data"


def test_when_rows_came_and_how_a_column_moved():
    times = [NOON + timedelta(minutes=minute) for minute in range(120)]
    hour = pl.DataFrame({"x": [5.0] * 60 + [9.0] * 60})
    forms = [times, [time.isoformat() for time in times], [time.timestamp() for time in times]]
    for form in forms:
        report = assess("t", [Period("p", hour, times=form)], reference=table().select("x"), now=NOON)
        period = report.periods[0]
        assert (period.started, period.ended) == ("2026-05-01T12:00:00Z", "2026-05-01T13:59:00Z")
        assert period.velocity.rows_per_second == pytest.approx(120 / (119 * 60))
        assert sum(period.arrivals.rows) == 120
        assert period.arrivals.seconds == 300
        trend = period.column("x").trend
        assert (trend.starts[0], trend.middle[0], trend.middle[-1]) == ("2026-05-01T12:00:00Z", 5.0, 9.0)


def test_times_may_be_a_column_of_the_table():
    stamped = table(10, shift=9).with_columns(when=pl.datetime_range(NOON, NOON + timedelta(days=9), "1d", eager=True))
    report = assess("t", [Period("p", stamped, times="when")], reference=table(), ignore=["when"])
    arrivals = report.periods[0].arrivals
    assert (sum(arrivals.rows), arrivals.seconds) == (10, 6 * 3600)


def test_times_that_are_none_leave_the_velocity_unknown():
    for times in (["soon"] * 5, [None] * 5, [float("nan")] * 5, [[1]] * 5, [1e18] * 5):
        period = assess("t", [Period("p", table(5), times=times)], reference=table()).periods[0]
        assert (period.velocity.seconds, period.arrivals) == (None, None)


def test_times_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 times for 5 rows"):
        assess("t", [Period("p", table(5), times=[1, 2])])
    with pytest.raises(ValueError, match="no column 'when'"):
        assess("t", [Period("p", table(5), times="when")])


def test_a_window_gives_the_velocity():
    period = Period("p", table(600), started=NOON, ended=(NOON + timedelta(minutes=10)).replace(tzinfo=None))
    assert assess("t", [period]).periods[0].velocity.rows_per_second == 1.0


def test_json_there_and_back():
    holes = table(300, shift=1).with_columns(x=pl.when(pl.col("x") > 1).then(None).otherwise("x"))
    times = [NOON + timedelta(seconds=second) for second in range(300)]
    versions = [VersionMetrics("v1", 10, 1, 0.1, 0.2, 0.3, 60.0)]
    limits = Checks(errors=0.01, range=0.0)
    periods = [Period("größe", holes, times=times), Period("none", holes.clear())]
    report = assess("t", periods, reference=table(), checks=limits, operational=versions, units={"x": "m/s"})
    text = report.to_json()
    assert Report.from_json(text) == report
    assert Report.from_json(report.to_json(indent=2)) == report
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["format"] == "cloudops-report/1"
    assert set(document) == {"format", *(field.name for field in fields(Report))}
    document["from_the_future"] = document["periods"][0]["columns"][0]["from_the_future"] = 1
    assert Report.from_json(json.dumps(document)) == report


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"format": "x"}', '{"format": "cloudops-report/1", "name": "t"}']
)
def test_what_is_no_report_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="not a cloudops-report/1 document") as caught:
        Report.from_json(text)
    assert "\n" not in str(caught.value)


def test_2013s_summer_against_its_winter(winter, june, july):
    periods = [Period(label, one, times="time_hour") for label, one in (("june", june), ("july", july))]
    report = assess("flights", periods, reference=winter, ignore=["time_hour"])
    assert report.verdict == "drift"
    assert report.drifted[:3] == ("temp", "dewp", "pressure")
    assert "distance" not in report.drifted
    assert "carrier" not in report.drifted
    assert [period.verdict for period in report.periods] == ["drift", "drift"]
    assert len(report.periods[0].arrivals.rows) == 31  # the last flights of June leave after midnight UTC
    assert report.reference.bands["temp"] == pytest.approx((28.9, 41.9, 55.9), abs=0.1)
