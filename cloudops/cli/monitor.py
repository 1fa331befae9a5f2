"""The command monitor."""

from __future__ import annotations

import json
from typing import Any

import click

from . import completing
from .options import project_options, project_session, relative
from .output import document, wants_json
from .progress import progress


@click.command()
@click.argument("endpoint", metavar="[ENDPOINT]", required=False, shell_complete=completing.endpoints)
@click.option(
    "--html",
    metavar="FILE",
    shell_complete=completing.files,
    help="Where to write the report.  [default: under .cloudops/reports]",
)
@project_options
def monitor(endpoint: str | None, html: str | None, **options: Any) -> int:
    """Check an endpoint's traffic: drift, data quality, errors and latency, as the key monitor says.

    Replays, where there are some, are sent first. Exit code 1 where a check fails, or
    where there was nothing to check.
    """
    session = project_session(options)
    with progress() as shown:
        shown.begin("monitor", "")
        report = session.monitor(endpoint=endpoint, progress=lambda line: shown.note("monitor", line), html=html)
    if wants_json():
        document({**json.loads(report.report.to_json()), "report": str(report.html)})
    else:
        from cloudops.monitoring import terminal

        terminal.render(report.report)
        click.echo(f"report: {relative(report.html)}")
    return 0 if report.verdict == "ok" else 1
