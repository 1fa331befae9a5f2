"""The command monitor."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudops.errors import ConfigError
from cloudops.projectfile import chosen

from . import completing
from .options import go_offline, project_options, project_session, relative, seconds
from .output import document, wants_json
from .progress import progress
from .streams import ReaderGone

if TYPE_CHECKING:
    from cloudops.session import Session
    from cloudops.specs import MonitorSpec
    from cloudops.watch import Watched


@click.command()
@click.argument("endpoint", metavar="[ENDPOINT]", required=False, shell_complete=completing.endpoints)
@click.option(
    "--reference",
    metavar="FILE",
    shell_complete=completing.files,
    help="The table to compare with; over that of the project file.",
)
@click.option(
    "--window",
    metavar="DURATION",
    help="How far back captured requests are read, such as 6h; nothing is replayed then.",
)
@click.option(
    "--html",
    metavar="FILE",
    shell_complete=completing.files,
    help="Where to write the report.  [default: under .cloudops/reports]",
)
@project_options
def monitor(endpoint: str | None, reference: str | None, window: str | None, html: str | None, **options: Any) -> int:
    """Check an endpoint's traffic: drift, data quality, errors and latency, as the key monitor says.

    Replays, where there are some, are sent first. Exit code 1 where a check fails, or
    where there was nothing to check. An endpoint's URI is checked from any folder; where that has
    no project file, --reference says what its traffic is compared with.
    """
    given = _given(reference, seconds(window, "--window"))
    session, spec = _what_to_check(endpoint, given, options)
    with progress() as shown:
        shown.begin("monitor", "")
        report = session.monitor(spec, endpoint=endpoint, progress=lambda line: shown.note("monitor", line), html=html)
    with contextlib.suppress(ReaderGone):  # the verdict is the same, whoever reads it
        _show(report)
    return 0 if report.verdict == "ok" else 1


def _show(report: Watched) -> None:
    if wants_json():
        document({**json.loads(report.report.to_json()), "report": str(report.html)})
        return
    from cloudops.monitoring import terminal

    terminal.render(report.report)
    click.echo(f"report: {relative(report.html)}")


def _what_to_check(
    endpoint: str | None, given: dict[str, Any], options: dict[str, Any]
) -> tuple[Session, MonitorSpec | None]:
    if endpoint is not None and "://" in endpoint and not _has_project(options):
        go_offline(options)
        return _without_project(endpoint, given)
    session = project_session(options)
    return session, _changed(session, given)


def _given(reference: str | None, window: float | None) -> dict[str, Any]:
    """The values of the flags; a path starts in the working directory, not in the project's folder."""
    if reference is not None and "://" not in reference:
        reference = str(Path(reference).absolute())
    return {name: value for name, value in (("reference", reference), ("window", window)) if value is not None}


def _has_project(options: dict[str, Any]) -> bool:
    """Whether a project file is here, or anything is asked for that only a project file can give."""
    asked = any(options.get(name) for name in ("file", "target", "assignments"))
    return asked or bool(os.environ.get("CLOUDOPS_FILE")) or chosen(None, {}).exists()


def _without_project(uri: str, given: dict[str, Any]) -> tuple[Session, MonitorSpec]:
    from cloudops.opening import attached_session

    if "reference" not in given:
        hint = "give one with --reference FILE, or the project file with -f"
        raise ConfigError("there is no project file here, so nothing says what to compare with", hint=hint)
    return attached_session(uri, root=Path.cwd()), _spec({"endpoint": uri, **given})


def _changed(session: Session, given: dict[str, Any]) -> MonitorSpec | None:
    """What the project file says with the flags' values in it; None where there are none.

    A window is of what was captured before, so nothing is replayed then.
    """
    if not given:
        return None
    configured = session.config.project.monitor if session.config else None
    values = dict(configured) if configured is not None else {}
    return _spec({**values, **given, **({"replay": {}} if "window" in given else {})})


def _spec(values: dict[str, Any]) -> MonitorSpec:
    from pydantic import ValidationError

    from cloudops.problems import describe
    from cloudops.specs import MonitorSpec

    try:
        return MonitorSpec(**values)
    except ValidationError as error:
        raise ConfigError(describe(error, MonitorSpec, values, ("monitor",))[1]) from None
