"""Commands about jobs and models: jobs, status, wait, logs, metrics, cancel, models."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from . import completing
from .interrupts import Interrupted
from .options import command_line, file_option, find, offline_option, project_options, project_session, seconds
from .output import age, document, document_of_items, table, wants_json
from .progress import progress

if TYPE_CHECKING:
    from cloudops.handles import Endpoint, Job
    from cloudops.refs import Listed, LogLine, Status

what = click.argument("what", metavar="[URI|NAME]", required=False, shell_complete=completing.jobs_and_endpoints)
which_job = click.argument("what", metavar="[URI|NAME]", required=False, shell_complete=completing.jobs)


@click.command()
@project_options
def jobs(**options: Any) -> None:
    """List the project's jobs, newest first."""
    show_listing(list(project_session(options).jobs()), ["job", "step", "phase", "age"])


@click.command()
@what
@project_options
def status(what: str | None, **options: Any) -> None:
    """Show where a job or an endpoint stands; by default the project's newest job."""
    found = _job_or_endpoint(what, options)
    current = found.status()
    if wants_json():
        document({"uri": found.uri, **status_document(current)})
        return
    click.echo(f"{found.ref.id}  {current.phase}{'  ' + current.reason if current.reason else ''}")
    if current.url:
        click.echo(f"  {current.url}")
    for version, percent in current.traffic.items():
        click.echo(f"  {version}  {percent:g}%")
    if current.started is not None:
        end = current.ended if current.ended is not None else time.time()
        ran = max(0.0, end - current.started)  # a cloud's clock may be before this machine's
        click.echo(f"  ran for {ran:.1f} s" + (f", attempt {current.attempt}" if current.attempt else ""))


@click.command()
@what
@click.option("--timeout", metavar="DURATION", help="Give up after this long, such as 10m; what runs goes on.")
@project_options
def wait(what: str | None, timeout: str | None, **options: Any) -> None:
    """Wait until a job has succeeded or an endpoint is ready. Ctrl-C detaches; it never stops the job."""
    limit = seconds(timeout, "--timeout")
    found = _job_or_endpoint(what, options)
    try:
        with progress() as shown:
            shown.begin("wait", found.ref.id)
            final = found.wait(limit, on_change=lambda current: shown.status("wait", current))
    except KeyboardInterrupt:
        raise Interrupted("detached; it goes on", command_line("wait", found.uri)) from None
    if wants_json():
        document({"uri": found.uri, **status_document(final)})
    else:
        click.echo(f"{found.ref.id}  {final.phase}")


@click.command()
@what
@click.option("-f", "--follow", is_flag=True, help="Go on until it has ended.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines so far.")
@click.option("-t", "--timestamps", is_flag=True, help="With the time of each line.")
@file_option("--file")
@offline_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: a list of lines.")
def logs(what: str | None, follow: bool, tail: int | None, timestamps: bool, output: str, **options: Any) -> None:
    """Print what a job or an endpoint printed; by default the project's newest job."""
    found = _job_or_endpoint(what, options)
    show = _show_lines_as_json if output == "json" else partial(_show_lines, timestamps)
    try:
        show(found.logs(follow=follow, tail=tail))
    except KeyboardInterrupt:
        flags = " -o json" if output == "json" else ""
        raise Interrupted("detached; it goes on", command_line(f"logs -f{flags}", found.uri)) from None


@click.command()
@what
@project_options
def metrics(what: str | None, **options: Any) -> None:
    """Print the metrics of a job and what it used, or those of the last hour of an endpoint."""
    from cloudops.handles import Job

    found = _job_or_endpoint(what, options)
    points = [*found.metrics(), *(found.usage() if isinstance(found, Job) else ())]
    if wants_json():
        fields = ("name", "value", "time", "step", "labels")
        document([{name: getattr(point, name) for name in fields} for point in points])
        return
    rows = [
        (p.name, f"{p.value:.6g}", "" if p.step is None else p.step, " ".join(f"{k}={v}" for k, v in p.labels.items()))
        for p in points
    ]
    table(["metric", "value", "step", "labels"], rows)


@click.command()
@which_job
@project_options
def cancel(what: str | None, **options: Any) -> None:
    """Stop a job; by default the project's newest one. Nothing happens to one that has ended."""
    from cloudops.handles import Job

    found = find(what, options)
    if not isinstance(found, Job):
        raise click.BadParameter(f"{found.uri} is not a job", param_hint="URI")
    found.cancel()
    current = found.status()
    if wants_json():
        document({"uri": found.uri, **status_document(current)})
    else:
        click.echo(f"{found.ref.id}  {current.phase}")


@click.command()
@project_options
def models(**options: Any) -> None:
    """List the project's model versions, with the code and the data they come from."""
    found = list(project_session(options).models())
    if wants_json():
        document(
            [
                {
                    "uri": str(model.ref),
                    "location": model.location,
                    "lineage": model.lineage,
                    "metrics": model.metrics,
                    "created": model.created,
                }
                for model in found
            ]
        )
        return
    rows = [
        (
            model.ref.id if model.ref else "",
            age(model.created),
            str(model.lineage.get("code", ""))[:8],
            " ".join(f"{name}:{version[:8]}" for name, version in model.lineage.get("data", {}).items()),
        )
        for model in found
    ]
    table(["model", "age", "code", "data"], rows)


def _show_lines(timestamps: bool, lines: Iterable[LogLine]) -> None:
    for line in lines:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S ", time.localtime(line.time)) if timestamps else ""
        click.echo(stamp + line.text)


def _show_lines_as_json(lines: Iterable[LogLine]) -> None:
    document_of_items({"time": line.time, "source": line.source, "text": line.text} for line in lines)


def status_document(status: Status) -> dict[str, Any]:
    """A status as JSON."""
    fields = ("phase", "reason", "native", "created", "started", "ended", "exit_code", "attempt", "url", "refused")
    return {name: getattr(status, name) for name in fields} | {
        "traffic": dict(status.traffic),
        "details": dict(status.details),
    }


def show_listing(items: list[Listed], headings: list[str]) -> None:
    """Print a listing as a table or as JSON."""
    if wants_json():
        document(
            [
                {
                    "uri": str(item.ref),
                    "name": item.ref.id,
                    "phase": item.phase,
                    "created": item.created,
                    "step": item.step,
                    "details": item.details,
                }
                for item in items
            ]
        )
        return
    cells = [{"phase": item.phase, "age": age(item.created), "step": item.step} for item in items]
    rows = [[item.ref.id, *(known[name] for name in headings[1:])] for item, known in zip(items, cells, strict=True)]
    table(headings, rows)


def _job_or_endpoint(text: str | None, options: dict[str, Any]) -> Job | Endpoint:
    from cloudops.handles import ModelVersion

    found = find(text, options)
    if isinstance(found, ModelVersion):
        raise click.BadParameter(f"{found.uri} is a model; `cloudops models` shows it", param_hint="URI")
    return found
