"""Progress of a run: a live line on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from cloudops.refs import Phase

from .output import note

if TYPE_CHECKING:
    from cloudops.refs import Status


class PlainProgress:
    """One line for each thing that happens; a context, at whose end whatever is still shown is taken down."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def warn(self, text: str) -> None:
        """Something to know before the steps begin."""
        note(f"! {text}")

    def begin(self, step: str, text: str) -> None:
        """A step begins."""
        self._started = time.monotonic()
        self.line(step, f"begins {text}".rstrip())

    def status(self, step: str, status: Status) -> None:
        """The step's job or endpoint is in another state."""
        tells = status.reason and status.phase is not Phase.FAILED  # the error that ends the command has that reason
        self.line(step, f"{status.phase}{': ' + status.reason if tells else ''}")

    def note(self, step: str, text: str) -> None:
        """Something worth a line."""
        self.line(step, text)

    def end(self, step: str, text: str) -> None:
        """The step is done."""
        self.line(step, f"done in {time.monotonic() - self._started:.1f} s: {text}")

    def close(self) -> None:
        """Nothing to take down."""

    def line(self, step: str, text: str) -> None:
        """Print one line."""
        note(f"{step:<9} {text}")


class LiveProgress(PlainProgress):
    """A spinner with the current state, and a line for each step that is done."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__()
        self._console = Console(stderr=True, highlight=False)
        self._spinner: Any = None

    def begin(self, step: str, text: str) -> None:
        """Start the step's spinner."""
        self.close()
        self._started = time.monotonic()
        self._spinner = self._console.status(self._label(step, text or "begins"))
        self._spinner.start()

    def status(self, step: str, status: Status) -> None:
        """Show the state beside the spinner."""
        if self._spinner is not None:
            self._spinner.update(self._label(step, f"{status.phase} {status.reason}".strip()))

    def end(self, step: str, text: str) -> None:
        """Replace the spinner by a line."""
        self.close()
        elapsed = f"{time.monotonic() - self._started:.1f} s"
        self._console.print(f"[green]✓[/green] [bold]{step:<9}[/bold]", end="")
        self._console.print(f"{text}  ", end="", markup=False, soft_wrap=True)
        self._console.print(f"[dim]{elapsed}[/dim]")

    def line(self, step: str, text: str) -> None:
        """Show the text beside the spinner, where the next one replaces it."""
        if self._spinner is not None:
            self._spinner.update(self._label(step, text))

    def close(self) -> None:
        """Take the spinner down."""
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    @staticmethod
    def _label(step: str, text: str) -> str:
        from rich.markup import escape

        return f"[bold]{step:<9}[/bold]{escape(text)}"


def progress() -> PlainProgress:
    """What suits standard error."""
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
