"""What a shell completes beside commands and options: files, and names that are looked up.

A completion never fails and never prints: what cannot be looked up, or not soon, is not offered.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from cloudops.refs import Listed
    from cloudops.session import Session

Found = list[CompletionItem[str]]

#: Seconds that somebody who has pressed Tab waits for a cloud's answer.
PATIENCE = 2.0


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Found:
    """The shell's own completion of files."""
    return [CompletionItem(incomplete, type="file")]


def folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> Found:
    """The shell's own completion of folders."""
    return [CompletionItem(incomplete, type="dir")]


def providers(ctx: click.Context, param: click.Parameter, incomplete: str) -> Found:
    """The installed providers."""

    def names() -> Iterable[str]:
        from cloudops.hookspecs import PROVIDERS
        from cloudops.registry import entry_points

        return sorted(entry_points(PROVIDERS))

    return _looked_up(names, incomplete)


def targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> Found:
    """The targets of the project file."""

    def names() -> Iterable[str]:
        from cloudops.projectfile import chosen
        from cloudops.yamlfile import load

        return sorted(load(chosen(ctx.params.get("file"), os.environ))[0]["targets"])

    return _looked_up(names, incomplete)


def jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> Found:
    """The project's jobs."""
    return _listed(ctx, lambda session: session.jobs(), incomplete)


def endpoints(ctx: click.Context, param: click.Parameter, incomplete: str) -> Found:
    """The project's endpoints."""
    return _listed(ctx, lambda session: session.endpoints(), incomplete)


def jobs_and_endpoints(ctx: click.Context, param: click.Parameter, incomplete: str) -> Found:
    """The project's jobs and endpoints."""
    return _listed(ctx, lambda session: session.created(), incomplete)


def _listed(ctx: click.Context, listing: Callable[[Session], Iterable[Listed]], incomplete: str) -> Found:
    """The names of what is listed, and the URIs where one is begun."""

    def names() -> Iterable[str]:
        from .options import project_session

        items = list(listing(project_session(ctx.params)))
        return [item.ref.id for item in items] + [str(item.ref) for item in items if incomplete]

    return _looked_up(names, incomplete)


def _looked_up(find: Callable[[], Iterable[str]], incomplete: str) -> Found:
    found: list[str] = []

    def look() -> None:
        with contextlib.suppress(BaseException):
            found.extend(find())

    thread = threading.Thread(target=look, daemon=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        thread.start()
        thread.join(PATIENCE)
    return [CompletionItem(name) for name in list(found) if name.startswith(incomplete)]
