"""How a command that failed says so: one line and a hint on standard error, and an exit code."""

from __future__ import annotations

import os

import click

from cloudops.errors import CloudopsError, JobFailed, NotFound, Unavailable

from .output import note, one_line, print_error_document


def print_error(error: Exception) -> int:
    """Print an error as one line (and the log's tail of a failed job); returns the exit code."""
    if not isinstance(error, CloudopsError) or _debugging():
        return _print_unexpected(error)
    if isinstance(error, JobFailed):
        for line in error.log_tail:
            note(f"  | {line}")
    hint = _ended_clouds(error) or error.hint
    note(f"error: {one_line(error.message)}")
    if hint:
        note(f"  {one_line(hint)}")
    print_error_document(type(error).__name__, error.message, hint)
    return error.exit_code


def _ended_clouds(error: CloudopsError) -> str | None:
    """Why nothing answers, where that is offline clouds that have ended while this process was led to them."""
    if not (isinstance(error, Unavailable) and "CLOUDOPS_OFFLINE" in os.environ):
        return None
    from cloudops.offline.client import of_environment

    try:
        of_environment()
    except NotFound as ended:
        return ended.message
    return None


def print_usage_error(error: click.UsageError) -> int:
    """Print what is wrong with the command line, and where its help is; returns the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    text = one_line(error.format_message())
    # click's own words begin with a capital letter and end with a full stop; our messages do neither.
    message = (text[:1].lower() + text[1:]).removesuffix(".")
    hint = f"`{error.ctx.command_path if error.ctx else 'cloudops'} --help` explains the command line"
    note(f"error: {message}")
    note(f"  {hint}")
    print_error_document("UsageError", message, hint)
    return error.exit_code


def _debugging() -> bool:
    return os.environ.get("CLOUDOPS_DEBUG", "").lower() not in ("", "0", "false", "no", "off")


def _print_unexpected(error: Exception) -> int:
    if _debugging():
        import traceback

        traceback.print_exception(error)
        return getattr(error, "exit_code", 1)
    reason = f"{type(error).__name__}: {one_line(str(error))}"
    if isinstance(error, OSError):
        note(f"error: {reason}")
    else:
        note(f"error: this is a bug in cloudops or in a plugin: {reason}")
    note("  CLOUDOPS_DEBUG=1 shows where")
    print_error_document(type(error).__name__, reason)
    return 1
