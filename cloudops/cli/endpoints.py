"""Commands about endpoints: endpoints, predict, traffic, rollback; and down."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import click

from cloudops.errors import ConfigError

from . import completing
from .interrupts import Interrupted
from .jobs import show_listing, status_document
from .options import find, project_options, project_session
from .output import as_json, document, note, table, wants_json

if TYPE_CHECKING:
    from cloudops.handles import Endpoint

which = click.argument("endpoint", metavar="[ENDPOINT]", required=False, shell_complete=completing.endpoints)


@click.command()
@project_options
def endpoints(**options: Any) -> None:
    """List the project's endpoints."""
    show_listing(list(project_session(options).endpoints()), ["endpoint", "phase", "age"])


@click.command()
@which
@click.option(
    "--data",
    metavar="FILE",
    shell_complete=completing.files,
    help="Rows: .json, .jsonl, .csv or .parquet; - reads standard input.",
)
@click.option("--row", metavar="JSON", multiple=True, help="One row, such as '{\"x\": 1}' or '[1, 2]'.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["json", "jsonl", "csv"]),
    default="json",
    help="What standard input holds.  [default: json]",
)
@click.option("--version", metavar="ID", help="Ask one version rather than the traffic split.")
@project_options
def predict(
    endpoint: str | None, data: str | None, row: tuple[str, ...], format_: str, version: str | None, **options: Any
) -> None:
    """Send rows to an endpoint (its URI or name; by default the project's) and print one prediction a line."""
    from cloudops.rows import predict_all, read_rows

    if (data is None) == (not row):
        raise click.UsageError("expected rows: either --data FILE or --row JSON")
    found: Endpoint = find(endpoint, options, kind="endpoints")  # type: ignore[assignment]
    predictions = predict_all(found, read_rows(data, row, format_, sys.stdin.buffer), version=version)
    if wants_json():
        document({"uri": found.uri, "predictions": list(predictions)})
        return
    for prediction in predictions:
        click.echo(prediction if isinstance(prediction, str) else as_json(prediction))


@click.command()
@click.argument("words", nargs=-1, metavar="[ENDPOINT] [VERSION=PERCENT]...", shell_complete=completing.endpoints)
@project_options
def traffic(words: tuple[str, ...], **options: Any) -> None:
    """Show an endpoint's versions, or split its traffic: cloudops traffic 3f2a9c01=90 77ab12cd=10."""
    shares = _shares([word for word in words if "=" in word])
    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise click.UsageError(f"expected at most one endpoint, got {', '.join(names)}")
    found: Endpoint = find(names[0] if names else None, options, kind="endpoints")  # type: ignore[assignment]
    if shares:
        found.traffic(shares)
        found.wait()
    _show_endpoint(found)


@click.command()
@which
@project_options
def rollback(endpoint: str | None, **options: Any) -> None:
    """Give all traffic back to the version before the live one."""
    found: Endpoint = find(endpoint, options, kind="endpoints")  # type: ignore[assignment]
    found.rollback()
    found.wait()
    _show_endpoint(found)


@click.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@project_options
def down(yes: bool, **options: Any) -> int:
    """Delete everything that the project created with this provider: endpoints, jobs and their models.

    What is to be deleted is shown first. Shared things (buckets, roles, caches) are left alone.
    """
    session = project_session(options)
    items = session.created()
    if not items:
        document({"deleted": []}) if wants_json() else click.echo("nothing to delete")
        return 0
    for item in items:
        note(f"  {item.ref.kind[:-1]:<9} {item.ref.id}  {item.phase}")
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("nothing was deleted: this would delete the above", hint="pass --yes to delete it")
        if not _agreed(len(items)):
            note("nothing was deleted")
            if wants_json():
                document({"deleted": []})
            return 1
    from cloudops.refs import Phase

    for item in items:
        if item.ref.kind == "endpoints" and item.phase in (Phase.STARTING, Phase.UPDATING):
            note(f"the endpoint {item.ref.id} is {item.phase}; some clouds delete it only once that is over")
    deleted = session.down(items)
    if wants_json():
        document({"deleted": [str(ref) for ref in deleted]})
    else:
        click.echo(f"deleted {len(deleted)}")
    return 0


def _agreed(count: int) -> bool:
    try:
        return click.confirm(f"Delete these {count}?", err=True)
    except click.Abort:
        raise Interrupted("nothing was deleted") from None


def _shares(words: list[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for version, percent in map(_share, words):
        if version in shares:
            raise click.UsageError(f"the version {version} is named twice")
        shares[version] = percent
    return shares


def _share(word: str) -> tuple[str, float]:
    version, _, percent = word.partition("=")
    try:
        share = float(percent.removesuffix("%"))
    except ValueError:
        share = math.nan
    if not version or not 0 <= share <= 100:
        raise click.UsageError(f"expected VERSION=PERCENT with a percentage from 0 to 100, got {word!r}")
    return version, share


def _show_endpoint(endpoint: Endpoint) -> None:
    status = endpoint.status()
    if wants_json():
        document({"uri": endpoint.uri, **status_document(status)})
        return
    click.echo(f"{endpoint.ref.id}  {status.phase}{'  ' + status.reason if status.reason else ''}")
    table(["version", "percent"], [(version, f"{percent:g}") for version, percent in status.traffic.items()])
