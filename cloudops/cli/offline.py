"""Commands about the offline clouds: run, start, stop, status, env, reset, advance, fault, faults."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from cloudops.errors import CloudopsError

from .options import output_option, seconds
from .output import age, document, note, table

if TYPE_CHECKING:
    from cloudops.offline.settings import Settings

Function = TypeVar("Function", bound=Callable[..., Any])


@click.group()
def offline() -> None:
    """The clouds, emulated on this machine: no account, no network, no cost."""


def _server_options(function: Function) -> Function:
    decorators = [
        click.option("--data", metavar="DIR", help="Keep the clouds' state there.  [default: in memory]"),
        click.option("--speed", metavar="X", type=float, default=1.0, help="Offline seconds in a real one."),
        click.option("--seed", metavar="N", type=int, default=0, help="Of faults that happen with a probability."),
        click.option(
            "--image",
            "images",
            metavar="PATTERN=PYTHON",
            multiple=True,
            help="The interpreter that stands for images; may be repeated.",
        ),
        click.option(
            "--emulator",
            "emulators",
            metavar="MODULE:CLASS",
            multiple=True,
            help="An emulator that no installed provider brings, or that goes before it.",
        ),
        click.option("--index-credentials", is_flag=True, help="Give jobs your credentials for package indexes, too."),
        click.option("--port", metavar="N", type=int, default=0, help="Of the proxy.  [default: a free one]"),
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


@offline.command()
@_server_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: Sequence[str], **given: Any) -> int:
    """Run a command against offline clouds of its own.

    Its exit code is that of the command; the hosts that were refused are listed on standard error at the end.

    Example: cloudops offline run -- aws s3 mb s3://bucket
    """
    from cloudops.offline.command import run as run_command

    with _interruptible("the offline clouds have ended"):
        return run_command(command, _settings(given), note)


@offline.command()
@_server_options
@output_option
def start(output: str, **given: Any) -> None:
    """Start offline clouds in the background.

    Example: cloudops offline start && eval "$(cloudops offline env)"
    """
    from cloudops.offline import background

    source = click.get_current_context().get_parameter_source
    named = [name for name in given if source(name) is ParameterSource.COMMANDLINE]
    with _interruptible("the offline clouds may not have started"):
        client, problems = background.start(_settings(given), named)
    _warn(problems)
    if output == "json":
        document({"url": client.record.url, "pid": client.record.process.pid, "folder": client.record.folder})
        return
    click.echo(f"offline clouds run at {client.record.url}")
    click.echo('  eval "$(cloudops offline env)" leads this shell there; `cloudops offline stop` ends them')


@offline.command()
@output_option
def stop(output: str) -> None:
    """End the offline clouds in the background, with all that they run.

    Example: cloudops offline stop
    """
    from cloudops.offline import background

    ended = background.stop()
    if output == "json":
        document({"stopped": ended})
    else:
        click.echo("stopped" if ended else f"no offline clouds ran in the background{_others()}")


@offline.command()
@output_option
def status(output: str) -> None:
    """List what exists in each offline cloud, and what was refused.

    Example: cloudops offline status -o json
    """
    from cloudops.offline.client import found
    from cloudops.offline.egress import report

    client = found()
    known = client.get("status")
    if output == "json":
        document({"url": client.record.url, **known})
        return
    click.echo(f"{client.record.url}  process {known['pid']}  {_time(known)}")
    _warn(known["problems"])
    for cloud in known["clouds"]:
        click.echo(f"\n{cloud['name']}: {_summary(cloud)}")
        if cloud["resources"]:
            table(["kind", "name", "place", "age", "state"], [_row(one, known["now"]) for one in cloud["resources"]])
    if known["faults"]:
        click.echo()
        _show_rules(known["faults"])
    click.echo()
    for line in report(known["egress"], known["direct"]):
        click.echo(line)


@offline.command()
@output_option
def env(output: str) -> None:
    """Print the shell lines that lead a shell to the offline clouds.

    Example: eval "$(cloudops offline env)"
    """
    import os
    import shlex

    from cloudops.offline.client import to_lead_to
    from cloudops.offline.environment import resolved

    environment = resolved(to_lead_to().environment(), os.environ)
    if output == "json":
        document({"variables": dict(environment.variables), "unset": list(environment.unset)})
        return
    for name in environment.unset:
        click.echo(f"unset {name}")
    for name, value in environment.variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")


@offline.command()
@output_option
def reset(output: str) -> None:
    """End everything that runs in the offline clouds and forget their state.

    Example: cloudops offline reset
    """
    from cloudops.offline.client import found

    found().post("reset")
    if output == "json":
        document({"reset": True})
    else:
        click.echo("the offline clouds are empty")


@offline.command()
@click.argument("duration")
@output_option
def advance(duration: str, output: str) -> None:
    """Move the offline clouds' clock on.

    Example: cloudops offline advance 5m
    """
    from cloudops.offline.client import found

    now = found().post("advance", seconds=seconds(duration, "DURATION"))["now"]
    if output == "json":
        document({"now": now})
    else:
        click.echo(_clock(now))


@offline.command()
@click.argument("kind")
@click.option(
    "--on", metavar="PATTERN", default="*", help="Which calls or things, as SERVICE:OPERATION or SERVICE:KIND."
)
@click.option("--resource", metavar="PATTERN", default="*", help="The name of the thing.")
@click.option("--times", metavar="N", type=click.IntRange(min=1), help="How often.  [default: 1]")
@click.option("--always", is_flag=True, help="Again and again.")
@click.option("--skip", metavar="N", type=click.IntRange(min=0), default=0, help="Let so many through first.")
@click.option("--probability", metavar="P", type=click.FloatRange(0, 1), default=1.0, help="Of each, 0 to 1.")
@click.option(
    "--seconds", metavar="N", type=click.FloatRange(min=0), help="How long, where it takes time.  [default: 60]"
)
@output_option
def fault(kind: str, times: int | None, always: bool, output: str, **given: Any) -> None:
    """Have something go wrong in the offline clouds; docs/offline.md lists the kinds.

    Example: cloudops offline fault throttling --on 'sagemaker:Create*' --times 3
    """
    from cloudops.offline.client import found

    if always and times is not None:
        raise click.UsageError("--always and --times exclude each other")
    rule = found().post("faults", kind=kind.replace("-", "_"), times=None if always else times or 1, **given)
    if output == "json":
        document(rule)
    else:
        _show_rules([rule])


@offline.command()
@click.option("--clear", is_flag=True, help="Take them all back.")
@output_option
def faults(clear: bool, output: str) -> None:
    """List the faults that may still happen.

    Example: cloudops offline faults --clear
    """
    from cloudops.offline.client import found

    client = found()
    if clear:
        client.post("faults/clear")
    rules = client.get("faults")
    if output == "json":
        document(rules)
    else:
        _show_rules(rules)


@contextlib.contextmanager
def _interruptible(message: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        from .interrupts import Interrupted

        raise Interrupted(f"interrupted; {message}") from None


def _others() -> str:
    from cloudops.offline.client import of_environment

    with contextlib.suppress(CloudopsError):
        return "" if of_environment() is None else "; those of this shell end with the command that started them"
    return ""


def _settings(given: dict[str, Any]) -> Settings:
    from cloudops.offline.settings import settings

    return settings(**given)


def _warn(problems: Sequence[str]) -> None:
    for problem in problems:
        note(f"! {problem}")


def _summary(cloud: dict[str, Any]) -> str:
    if cloud["problem"]:
        return str(cloud["problem"])
    if not cloud["running"]:
        return "not asked for anything so far"
    count = len(cloud["resources"])
    return "1 resource" if count == 1 else f"{count} resources"


def _row(resource: dict[str, Any], now: float) -> tuple[str, ...]:
    since = age(resource["created"], now)
    return (resource["kind"], resource["name"], resource["place"], since, resource["state"])


def _show_rules(rules: Sequence[dict[str, Any]]) -> None:
    rows = [
        (
            rule["id"],
            rule["kind"],
            rule["on"],
            rule["resource"],
            rule["times"] or "always",
            rule["skip"],
            rule["probability"],
            "" if rule["seconds"] is None else f"{rule['seconds']:g}",
        )
        for rule in rules
    ]
    table(["fault", "kind", "on", "resource", "times", "skip", "probability", "seconds"], rows)


def _time(known: dict[str, Any]) -> str:
    speed = known["settings"]["speed"]
    return _clock(known["now"]) + (f" at speed {speed:g}" if speed != 1 else "")


def _clock(now: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
