"""The console script. It imports next to nothing itself: Ctrl-C while Python imports the rest is no traceback."""

from __future__ import annotations

import os
import sys

_MESSAGE = "interrupted before anything was begun"
_DOCUMENT = f'{{"error": {{"type": "Interrupted", "message": "{_MESSAGE}", "hint": "give the command again"}}}}\n'


def main() -> None:
    """Run the command line and exit; see :func:`cloudops.cli.main.main`."""
    try:
        import signal

        # A shell starts what it puts into the background with SIGINT ignored: that is kept.
        heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if heeded:
            signal.signal(signal.SIGINT, _give_up)
    except KeyboardInterrupt:
        _give_up()
    from .main import main as run

    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        if heeded:  # Python's own end is not interrupted with a traceback either
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _give_up(*signal_and_frame: object) -> None:
    """End at once: nothing is open yet, and an exception could come up anywhere in the midst of an import."""
    try:
        os.write(2, f"{_MESSAGE}; give the command again\n".encode())
        if {"json", "-ojson", "--output=json"} & set(sys.argv):
            os.write(1, _DOCUMENT.encode())
    finally:
        os._exit(130)
