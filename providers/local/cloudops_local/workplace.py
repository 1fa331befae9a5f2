"""One project folder on this machine: its index, its settings, and what jobs and endpoints share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.errors import NotFound
from cloudops.refs import Ref

from .layout import Layout
from .leftovers import leftovers
from .state import Index, Item

if TYPE_CHECKING:
    from .options import LocalTarget


class Workplace:
    """What is there whatever is run.

    Args:
        root: the project's folder.
        settings: the target's settings.
        environ: what processes inherit their few undeclared variables from.
    """

    def __init__(self, root: Path, settings: LocalTarget | None, environ: Mapping[str, str] | None = None) -> None:
        self.layout = Layout(root)
        self.index = Index(self.layout.database, lambda: leftovers(self.layout))
        self.settings = settings
        self.environ = os.environ if environ is None else environ

    def ref(self, kind: str, name: str) -> Ref:
        """The handle of something of this project folder."""
        return Ref("local", str(self.layout.root).strip("/"), kind, name)

    def item(self, ref: Ref) -> Item:
        """The row of a job or an endpoint; a model is its job's. Raises NotFound."""
        kind = "jobs" if ref.kind == "models" else ref.kind
        found = self.index.get(kind, ref.id)
        if found is None:
            raise NotFound(
                f"there is no {ref.kind[:-1]} {ref.id!r} in {self.layout.root}",
                provider="local",
                ref=ref,
                hint="it was deleted, or lives on another machine: a local URI works where it was made",
            )
        return found

    @contextmanager
    def alone(self, kind: str, name: str) -> Iterator[None]:
        """Keep other clients, and other threads of this one, from creating or deleting the same thing meanwhile.

        The lock lies outside of what it protects, which a deletion removes.
        """
        from cloudops.engine.files import locked

        locks = self.layout.base / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        self.layout.base.chmod(0o700)  # models, data and signed URLs are nobody else's
        with locked(locks / f"{kind}-{name}"):
            yield

    def runtime(self) -> Path:
        """The archive that processes run their part of the contract from."""
        from cloudops.runtime.archive import build

        self.layout.runtime.mkdir(parents=True, exist_ok=True)
        return build(self.layout.runtime)

    def python(self, step: str, options: Any) -> str | None:
        """The interpreter that the options of a step, else those of the target, name; None for this one."""
        from .interpreters import check

        if options is not None and options.python is not None:
            check(options.python, ("overrides", "local", step, "python"))
            return str(options.python)
        chosen = self.settings.python if self.settings is not None else None
        if chosen is not None:
            check(chosen, ("targets", "python"))
        return chosen
