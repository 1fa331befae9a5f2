"""What an interrupted command says: what goes on, and the command that goes on from there."""

from __future__ import annotations

import os
import shlex
import sys

from .output import note, print_error_document


class Interrupted(Exception):
    """A command was interrupted, and knows how to come back to what it did.

    No KeyboardInterrupt: click would make an Abort of that, which carries nothing.

    Args:
        message: what goes on, or what was not done; by default that what runs does.
        command: the command line that goes on from there; by default the one that was interrupted.
    """

    def __init__(self, message: str | None = None, command: str | None = None) -> None:
        self.message = message or f"interrupted; what runs goes on{_as_long()}"
        super().__init__(self.message)
        self.command = command or same_command()


def _as_long() -> str:
    """That it ends with the offline clouds of ``cloudops offline run``, where this process was led to such."""
    from cloudops.offline.environment import RECORD

    record = os.environ.get(RECORD)
    if not record:
        return ""
    from cloudops.offline.record import background

    return "" if str(background()) == record else ", in offline clouds as long as they do"


def program() -> str:
    """What one types to run cloudops: its path, where the shell would not find it or finds another one."""
    typed = sys.argv[0]
    if os.path.basename(typed) != "cloudops" or not os.path.exists(typed):
        return "cloudops"
    import shutil

    known = shutil.which("cloudops")
    return "cloudops" if known is not None and os.path.samefile(known, typed) else shlex.quote(typed)


def same_command(*, without: str | None = None) -> str:
    """The command line that runs now, as one types it, ``without`` one of its words."""
    return f"{program()} {shlex.join(word for word in sys.argv[1:] if word != without)}".rstrip()


def print_interrupted(error: Interrupted, lead: str = "\n") -> int:
    """Print what goes on and how to come back to it, ``lead`` ending the line of ``^C``; returns the exit code."""
    import signal

    # A second Ctrl-C ends the process at once, and with no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    note(f"{lead}{error.message}. To go on from here:")
    note(f"  {error.command}")
    print_error_document("Interrupted", error.message, error.command)
    return 130
