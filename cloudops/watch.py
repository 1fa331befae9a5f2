"""The monitor step: replays sent, captured requests read back, all of it held against the reference."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import AuthError, CloudopsError, ConfigError, InvalidRequest, ProviderError
from .references import PENDING

if TYPE_CHECKING:
    import polars as pl

    from .handles import Endpoint
    from .monitoring import Checks, Period, Profile, Report, VersionMetrics
    from .specs import MonitorSpec

#: Seconds of the window where none is given.
_DAY = 86400.0
#: Seconds that captured requests may take to show up after the last answer.
_SETTLE = 10.0


@dataclass(frozen=True)
class Watched:
    """What a check of an endpoint found.

    Args:
        report: the findings.
        html: the report as a page.
        json: the report as a document.
    """

    report: Report
    html: Path
    json: Path

    @property
    def verdict(self) -> str:
        """``ok``, ``drift``, ``failed`` or ``no data``."""
        return self.report.verdict

    @property
    def drifted(self) -> tuple[str, ...]:
        """The columns that drifted in any period, the worst first."""
        return self.report.drifted


def watch(
    endpoint: Endpoint,
    spec: MonitorSpec,
    resolve: Callable[[str], str],
    *,
    root: Path,
    html: Path | None = None,
    progress: Callable[[str], None],
) -> Watched:
    """Check an endpoint as ``spec`` says.

    Args:
        endpoint: what is checked.
        spec: how.
        resolve: fills in references.
        root: where relative paths start; reports are written below its ``.cloudops``.
        html: where to write the page instead.
        progress: called with a line for each thing done.

    Raises:
        ConfigError: a table cannot be read.
        CloudopsError: the endpoint refuses a replay, or its captured requests cannot be had.
    """
    # Before polars imports it in the midst of a computation, where a Ctrl-C would be a panic.
    import numpy  # noqa: F401, ICN001

    from .monitoring import assess

    known, label = _reference(spec, resolve, root)
    started = time.time()
    periods = list(_periods(endpoint, spec, resolve, root, known, progress))
    since = started if spec.replay else started - _window(spec)
    report = assess(
        endpoint.ref.id,
        periods,
        reference=known,
        checks=_checks(spec),
        operational=_operational(endpoint, since, time.time()),
        ignore={spec.label} if spec.label else (),
        reference_label=label,
    )
    return _written(report, endpoint.ref.id, root, html)


def check_tables(spec: MonitorSpec, resolve: Callable[[str], str], root: Path) -> None:
    """Look at the heads of the tables that a check reads, those that are here already.

    Args:
        spec: what is to be checked.
        resolve: fills in references; what a step will make begins with :data:`~cloudops.references.PENDING`.
        root: where relative paths start.

    Raises:
        ConfigError: a table cannot be read, or the reference has no column of the label's name.
    """
    tables = [(("monitor", "replay", name), source) for name, source in spec.replay.items()]
    reference = [] if spec.reference is None else [(("monitor", "reference"), spec.reference)]
    for place, source in [*reference, *tables]:
        found = resolve(source)
        if "://" in found or found.startswith(PENDING):
            continue
        columns = _columns(root / found, place)
        if spec.label and place[1] == "reference" and spec.label not in columns:
            raise _no_label(spec.label, found, columns)


def first_row(source: str, label: str | None, root: Path) -> dict[str, Any]:
    """The first row of a table, without its label, as an endpoint takes it."""
    from .monitoring import batches

    batch: list[dict[str, Any]] = next(iter(batches(_without(_table(source, root).head(1), label), 1)), [])
    if not batch:
        raise ConfigError(f"{source}: the table has no row")
    return batch[0]


def _reference(spec: MonitorSpec, resolve: Callable[[str], str], root: Path) -> tuple[Profile | None, str]:
    if spec.reference is None:
        return None, ""
    from .monitoring import profile
    from .store.uris import redact

    source = resolve(spec.reference)
    frame = _table(source, root)
    if not frame.height:
        raise ConfigError(f"{redact(source)} has no rows to compare with").at("monitor", "reference")
    if spec.label and spec.label not in frame.columns:
        raise _no_label(spec.label, redact(source), frame.columns)
    return profile(_without(frame, spec.label)), Path(redact(source)).name


def _periods(
    endpoint: Endpoint,
    spec: MonitorSpec,
    resolve: Callable[[str], str],
    root: Path,
    known: Profile | None,
    progress: Callable[[str], None],
) -> Iterator[Period]:
    if not spec.replay:
        until = time.time()
        yield _captured(endpoint, _window_label(spec), until - _window(spec), until, known)
    for label, source in spec.replay.items():
        frame = _without(_table(resolve(source), root), spec.label)
        began = time.time()
        _replay(endpoint, frame, label, progress, judged=spec.checks.errors is not None)
        period = _captured(endpoint, label, began, time.time(), known, expected=frame.height)
        progress(f"{label}: {frame.height:,} rows sent, {_rows(period):,} captured")
        yield period


def _replay(
    endpoint: Endpoint, frame: pl.DataFrame, label: str, progress: Callable[[str], None], *, judged: bool
) -> None:
    """Send a table's rows; where errors are judged by a check, an answer of 500 does not end it."""
    from .monitoring import batches
    from .rows import BATCH

    sent, told = 0, time.monotonic()
    for rows in batches(frame, BATCH):
        try:
            endpoint.predict(rows)
        except (InvalidRequest, AuthError):
            raise
        except ProviderError as error:
            # The endpoint's own failures are what `checks.errors` is for.
            if not judged:
                raise
            progress(f"{label}: {error.message}")
        sent += len(rows)
        if time.monotonic() - told > 2:
            told = time.monotonic()
            progress(f"{label}: {sent:,} of {frame.height:,} rows sent")


def _captured(
    endpoint: Endpoint, label: str, since: float, until: float, known: Profile | None, expected: int = 0
) -> Period:
    """The captured rows of a stretch of time; after a replay they may take a moment to show up."""
    from .monitoring import Period, from_rows

    deadline = time.monotonic() + (_SETTLE if expected else 0)
    seen = -1
    while True:
        found = list(endpoint.provider.monitor.captured(endpoint.ref, since=since, until=until))
        rows = [row for request in found for row in request.inputs]
        # Sampled captures never reach what was sent: two looks that agree are enough then.
        if len(rows) >= expected or len(rows) == seen or time.monotonic() > deadline:
            break
        seen = len(rows)
        time.sleep(0.5)
    times = [request.time for request in found for _ in request.inputs]
    columns = list(known.columns) if known else None
    table = from_rows(rows, columns, reference=known)
    return Period(label, table, _instant(since), _instant(until), times)


def _operational(endpoint: Endpoint, since: float, until: float) -> list[VersionMetrics]:
    from .monitoring import VersionMetrics

    by_version: dict[str, dict[str, float]] = {}
    for point in endpoint.metrics(since=since, until=until):
        by_version.setdefault(point.labels.get("version", ""), {})[point.name] = point.value
    return [
        VersionMetrics(
            version=version,
            requests=int(values.get("requests", 0)),
            errors=int(values.get("errors", 0)),
            latency_p50=values.get("latency_p50"),
            latency_p90=values.get("latency_p90"),
            latency_p99=values.get("latency_p99"),
            seconds=until - since,
        )
        for version, values in sorted(by_version.items())
    ]


def _checks(spec: MonitorSpec) -> Checks:
    from .monitoring import Checks

    drift, quality = spec.checks.drift, spec.checks.quality
    return Checks(
        psi=drift.psi,
        ks=drift.ks,
        js=drift.js,
        chi2_pvalue=drift.chi2_pvalue,
        significance=drift.significance,
        missing=quality.missing,
        types=quality.types,
        range=quality.range,
        new_categories=quality.new_categories,
        duplicates=quality.duplicates,
        latency_p99=spec.checks.latency_p99,
        errors=spec.checks.errors,
    )


def _written(report: Report, name: str, root: Path, html: Path | None) -> Watched:
    from .monitoring import html as page

    stamp = re.sub(r"[^0-9]", "", report.created)[:14]
    target = html or root / ".cloudops" / "reports" / f"{name}-{stamp}.html"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target = html or _new(target)
        target.write_text(page.render(report), encoding="utf-8")
        document = target.with_suffix(".json")
        document.write_text(report.to_json(indent=2), encoding="utf-8")
    except OSError as error:
        raise CloudopsError(f"the report cannot be written to {target}: {error.strerror}") from error
    return Watched(report, target, document)


def _new(page: Path, number: int = 1) -> Path:
    """``page``, numbered where another report of the same second has it; made now, so that no other one takes it."""
    candidate = page if number == 1 else page.with_stem(f"{page.stem}-{number}")
    try:
        candidate.touch(exist_ok=False)
    except FileExistsError:
        return _new(page, number + 1)
    return candidate


def _table(source: str, root: Path) -> pl.DataFrame:
    from .monitoring import read_table

    path = root / source
    if "://" in source:
        from .store.fetch import fetch

        path = fetch(source, root / ".cloudops" / "inputs")
    try:
        return read_table(path)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _columns(path: Path, place: tuple[str, ...]) -> list[str]:
    from .monitoring.tables import columns

    try:
        return columns(path)
    except ValueError as error:
        raise ConfigError(str(error)).at(*place) from error


def _no_label(label: str, source: str, columns: Sequence[str]) -> ConfigError:
    there = ", ".join(columns[:20])
    return ConfigError(f"{source} has no column {label!r}; it has {there}").at("monitor", "label")


def _without(frame: pl.DataFrame, label: str | None) -> pl.DataFrame:
    return frame.drop(label, strict=False) if label else frame


def _window_label(spec: MonitorSpec) -> str:
    from .quantities import format_duration

    return f"last {format_duration(_window(spec))}"


def _window(spec: MonitorSpec) -> float:
    return _DAY if spec.window is None else spec.window


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _rows(period: Period) -> int:
    from .monitoring import Captured

    return period.table.rows if isinstance(period.table, Captured) else period.table.height
