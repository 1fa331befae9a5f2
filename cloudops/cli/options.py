"""Options that commands share, and what they make of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cloudops.errors import ConfigError, NotFound

from . import completing
from .interrupts import program
from .output import note

if TYPE_CHECKING:
    from cloudops.config import Config
    from cloudops.handles import Endpoint, Job, ModelVersion
    from cloudops.session import Session

Function = TypeVar("Function", bound=Callable[..., Any])

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: one document on standard output, everything else on standard error.",
)


def file_option(*flags: str) -> Callable[[Function], Function]:
    """The option that names the project file; where ``-f`` follows a log, it is ``--file`` alone."""
    return click.option(
        *flags,
        metavar="FILE",
        shell_complete=completing.files,
        help="The project file.  [default: cloudops.yaml]",
    )


offline_option = click.option(
    "--offline", is_flag=True, help="In the offline clouds, which are started where none run; see docs/offline.md."
)


def project_options(function: Function) -> Function:
    """``-f``, ``--provider``, ``--target``, ``--set``, ``--offline`` and ``-o``."""
    decorators = [
        file_option("-f", "--file"),
        click.option(
            "--provider",
            metavar="NAME",
            shell_complete=completing.providers,
            help="Where to run; over the file and CLOUDOPS_PROVIDER.",
        ),
        click.option(
            "--target",
            metavar="NAME",
            shell_complete=completing.targets,
            help="A target of the file; over the file and CLOUDOPS_TARGET.",
        ),
        click.option(
            "--set",
            "assignments",
            metavar="KEY=VALUE",
            multiple=True,
            help="Change a value of the file, such as train.params.lr=0.2; may be repeated.",
        ),
        offline_option,
        output_option,
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def load_config(options: dict[str, Any]) -> Config:
    """The configuration that the options of :func:`project_options` name."""
    from cloudops.config import load

    go_offline(options)
    if options.get("file") == "":
        raise ConfigError("-f: expected the path of a project file, got nothing")
    return load(
        options.get("file"),
        provider=options.get("provider"),
        target=options.get("target"),
        assignments=options.get("assignments") or (),
    )


def go_offline(options: dict[str, Any]) -> None:
    """Lead this process to the offline clouds, where ``--offline`` was given; says so where they are started for it.

    A completion starts none.
    """
    if not options.get("offline"):
        return
    from cloudops.offline import joining

    started = joining.join(start="_CLOUDOPS_COMPLETE" not in os.environ)
    if started is not None:
        for problem in started:
            note(f"! {problem}")
        note(f"offline clouds run in the background from now on; `{program()} offline stop` ends them")


def project_session(options: dict[str, Any]) -> Session:
    """A session for the configuration that the options name."""
    from cloudops.opening import open_session

    return open_session(load_config(options))


def find(text: str | None, options: dict[str, Any], *, kind: str | None = None) -> Job | Endpoint | ModelVersion:
    """What a command's argument names: a URI, the name of a job or endpoint of the project, or (None) a default.

    Args:
        text: the argument.
        options: those of :func:`project_options`.
        kind: ``"endpoints"`` where only an endpoint will do; the default is then the project's endpoint, else its
            newest job.
    """
    from cloudops.handles import Endpoint, attach, handle

    if text is not None and "://" in text:
        go_offline(options)
        found = attach(text)
        if kind == "endpoints" and not isinstance(found, Endpoint):
            raise ConfigError(f"{text} is not an endpoint's URI")
        return found
    session = project_session(options)
    if kind == "endpoints":
        return session.endpoint(text)
    for item in session.created():
        if item.ref.id == text or (text is None and item.ref.kind == "jobs"):
            return handle(item.ref, session.provider)
    if text is None:
        raise NotFound("the project has no job yet", hint="`cloudops train` starts one")
    raise NotFound(
        f"the project has no job or endpoint {text!r}", hint="`cloudops jobs` and `cloudops endpoints` list them"
    )


def seconds(text: str | None, flag: str) -> float | None:
    """The duration that was given with ``flag``, such as ``10m``; None where none was."""
    if text is None:
        return None
    from cloudops.quantities import duration

    try:
        return duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=flag) from None


def command_line(command: str, uri: str) -> str:
    """A command with a URI, as one types it."""
    import shlex

    context = click.get_current_context(silent=True)
    offline = " --offline" if context is not None and context.params.get("offline") else ""
    return f"{program()} {command}{offline} {shlex.quote(uri)}"


def relative(path: str | Path) -> str:
    """A path as short as it can be shown from the working directory."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)
