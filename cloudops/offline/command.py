"""A command that runs against offline clouds of its own, from its start to its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence

from cloudops.errors import CloudopsError, ConfigError

from .client import Client
from .egress import report
from .environment import applied
from .launch import Launched, launch
from .settings import Settings

#: They are meant for the command.
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run(command: Sequence[str], settings: Settings, tell: Callable[[str], None]) -> int:
    """Run ``command`` and return its exit code, 128 + n where signal n ended it.

    Args:
        command: program and arguments.
        settings: of the server.
        tell: prints a line for a person: what cannot be loaded, and at the end what was refused.

    Raises:
        ConfigError: the command cannot be run, or the settings cannot be met.
        MissingDependency: the extra ``offline`` is not installed.
    """
    launched = launch(settings)
    try:
        for problem in launched.problems:
            tell(f"! {problem}")
        code = _run(command, launched)
        with contextlib.suppress(CloudopsError):  # a server that was killed has nothing to report
            found = Client(launched.record).get("egress")
            for line in report(found["hosts"], found["direct"]):
                tell(line)
        return code
    finally:
        if lost := launched.end():
            tell(f"! {lost}")


def _run(command: Sequence[str], launched: Launched) -> int:
    environment = applied(Client(launched.record).environment(), os.environ)
    with _recording() as arrived:
        try:
            process = subprocess.Popen(command, env=environment)
        except OSError as error:
            raise ConfigError(f"cannot run {command[0]}: {error.strerror}") from error
        _attend(process, arrived)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


@contextlib.contextmanager
def _recording() -> Iterator[list[int]]:
    """Take signals in instead of being ended by them; what this process ignores stays ignored, and is for its child."""
    arrived: list[int] = []
    before = {number: signal.getsignal(number) for number in _PASSED_ON}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, lambda received, frame: arrived.append(received))
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _attend(process: subprocess.Popen[bytes], arrived: list[int]) -> None:
    """Wait for the end of the command, and pass on the signals that only we got.

    What the terminal sends (Ctrl-C) reaches the command by itself: it is in our process group.
    """
    awaited = {number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN} | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        for number in arrived:
            process.send_signal(number)
        while process.poll() is None:
            information = signal.sigwaitinfo(awaited)
            if information.si_signo != signal.SIGCHLD and information.si_code <= 0:
                process.send_signal(information.si_signo)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
