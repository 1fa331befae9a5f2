"""What is printed: one JSON document or text on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from .streams import OutputLost, ReaderGone


def wants_json() -> bool:
    """Whether the running command was asked for ``-o json``."""
    context = click.get_current_context(silent=True)
    return context is not None and context.params.get("output") == "json"


def document(value: Any) -> None:
    """Print the JSON document of ``-o json``."""
    _print_document(as_json(value, indent=2) + "\n")


def document_of_items(items: Iterable[Any]) -> None:
    """Print a JSON list, each item as soon as it is there. However that ends, what was begun is a whole list."""
    lead = "["
    try:
        for item in items:
            text, lead = f"{lead}\n  {as_json(item)}", ","
            _print_document(text)
    finally:
        if _document_printed:
            _print_document("\n]\n")
    if lead == "[":
        _print_document("[]\n")


def as_json(value: Any, *, indent: int | None = None) -> str:
    """``value`` as JSON text."""
    escaped = sys.stdout.encoding.lower() not in ("utf-8", "utf8")
    return json.dumps(_finite(value), indent=indent, ensure_ascii=escaped, default=str, allow_nan=False)


#: Whether the one document of ``-o json`` is there, or begun: no second one may follow, not even that of an error.
_document_printed = False


def _print_document(text: str) -> None:
    global _document_printed
    _document_printed = True
    click.echo(text, nl=False)


def _finite(value: Any) -> Any:
    """``value`` with the numbers that JSON does not have (NaN, infinity) as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in aligned columns. The last one is as wide as it likes; on a terminal it is wrapped to fit."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max([len(heading), *(len(row[i]) for row in cells)]) for i, heading in enumerate(headings)]
    for row in [[heading.upper() for heading in headings], *cells]:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lead = "".join(f"{cell}  " for cell in padded)
        for line in _fitting(row[-1], len(lead)):
            click.echo((lead + line).rstrip())
            lead = " " * len(lead)


def _fitting(text: str, indent: int) -> list[str]:
    """``text`` in lines that fit beside ``indent`` on a terminal; whole where nobody looks at it."""
    import shutil
    import textwrap

    room = shutil.get_terminal_size().columns - indent
    return (sys.stdout.isatty() and room > 20 and textwrap.wrap(text, room)) or [text]


def note(text: str) -> None:
    """Print a line on standard error."""
    click.echo(text, err=True)


def age(since: float | None, now: float | None = None) -> str:
    """How long ago, in the largest unit: ``3m``, ``2h``."""
    if since is None:
        return "-"
    seconds = max(0.0, (time.time() if now is None else now) - since)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def print_error_document(kind: str, message: str, hint: str | None = None) -> None:
    """Print the document of a failure, where ``-o json`` was asked for and no other document is there."""
    if "json" in _output_flags() and not _document_printed:
        with contextlib.suppress(OutputLost, ReaderGone):  # the exit code is to be that of the failure
            document({"error": {"type": kind, "message": message, "hint": hint}})


def one_line(text: str) -> str:
    """``text`` without line breaks."""
    return " ".join(text.split())


def _output_flags() -> list[str]:
    """The values of ``-o`` on the command line; the context is gone when an error has left the command."""
    words = sys.argv[1:]
    values = [following for word, following in itertools.pairwise(words) if word in ("-o", "--output")]
    joined = [word.partition("=")[2] for word in words if word.startswith("--output=")]
    return values + joined + [word[2:] for word in words if word.startswith("-o")]
