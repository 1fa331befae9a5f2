"""Datasets and tables of BigQuery, with their rows in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .bigquery_errors import BigQueryError, missing

#: A dataset, or with the last part a table: project (its number), dataset, table.
Key = tuple[str, ...]
#: Rows of one table; beyond it the oldest are dropped.
_ROWS = 200_000


@dataclass
class Table:
    """A table.

    Args:
        fields: its schema.
        document: what else a client has set.
        created: seconds since the epoch, by the offline clock.
        rows: as :func:`.bigquery_rows.taken` gives them.
        seen: the insert ids of the rows that came last.
        first: how many rows were dropped.
    """

    fields: list[dict[str, Any]]
    document: Mapping[str, Any]
    created: float
    rows: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, None] = field(default_factory=dict)


@dataclass
class Dataset:
    """A dataset with its tables."""

    document: Mapping[str, Any]
    created: float
    tables: dict[str, Table] = field(default_factory=dict)


class Warehouse:
    """All datasets, by the project's number and their id.

    Args:
        now: the offline clock's time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        #: Held around everything that is looked at and then changed.
        self.lock = threading.RLock()
        self._now = now
        self._datasets: dict[tuple[str, str], Dataset] = {}

    def datasets(self, project: str) -> dict[str, Dataset]:
        """Those of a project (its number), by their ids in order."""
        with self.lock:
            return {name: one for (owner, name), one in sorted(self._datasets.items()) if owner == project}

    def dataset(self, project: str, name: str, shown: str = "") -> Dataset:
        """One of them; ``shown`` names it in an error. Raises BigQueryError: there is none."""
        with self.lock:
            found = self._datasets.get((project, name))
        if found is None:
            raise missing("Dataset", shown or f"{project}:{name}")
        return found

    def table(self, project: str, dataset: str, name: str, shown: str = "") -> Table:
        """A table. Raises BigQueryError: there is none, or not its dataset."""
        with self.lock:
            known = self._datasets.get((project, dataset))
            if known is None:
                raise missing("Dataset", (shown or f"{project}:{dataset}.").rpartition(".")[0])
            found = known.tables.get(name)
        if found is None:
            raise missing("Table", shown or f"{project}:{dataset}.{name}")
        return found

    def make_dataset(self, project: str, name: str, document: Mapping[str, Any], shown: str = "") -> Dataset:
        """A new dataset. Raises BigQueryError: there is one of that name."""
        with self.lock:
            if (project, name) in self._datasets:
                raise BigQueryError("duplicate", f"Already Exists: Dataset {shown or f'{project}:{name}'}")
            return self._datasets.setdefault((project, name), Dataset(document, self._now()))

    def make_table(
        self, project: str, dataset: str, name: str, fields: list[dict[str, Any]], document: Mapping[str, Any]
    ) -> Table:
        """A new table. Raises BigQueryError: there is no such dataset, or a table of that name."""
        with self.lock:
            known = self.dataset(project, dataset)
            if name in known.tables:
                raise BigQueryError("duplicate", f"Already Exists: Table {project}:{dataset}.{name}")
            return known.tables.setdefault(name, Table(fields, document, self._now()))

    def append(self, table: Table, row: dict[str, Any], insert_id: str = "") -> None:
        """Add a row to a table; one whose insert id was there lately is left out."""
        with self.lock:
            if insert_id:
                if insert_id in table.seen:
                    return
                table.seen[insert_id] = None
                for old in list(table.seen)[:-10_000]:
                    del table.seen[old]
            table.rows.append(row)
            del table.rows[:-_ROWS]

    def drop_dataset(self, project: str, name: str, *, contents: bool, shown: str = "") -> None:
        """Delete a dataset. Raises BigQueryError: there is none, or it has tables and ``contents`` is not set."""
        with self.lock:
            if self.dataset(project, name, shown).tables and not contents:
                text = f"Dataset {shown or f'{project}:{name}'} is still in use"
                raise BigQueryError("resourceInUse", text)
            del self._datasets[project, name]

    def drop_table(self, project: str, dataset: str, name: str, shown: str = "") -> None:
        """Delete a table. Raises BigQueryError: there is none."""
        with self.lock:
            self.table(project, dataset, name, shown)
            del self._datasets[project, dataset].tables[name]

    def reset(self) -> None:
        """Forget everything."""
        with self.lock:
            self._datasets.clear()

    def dump(self) -> Any:
        """What :meth:`load` takes: values that can be pickled."""
        with self.lock:
            return [
                (key, one.document, one.created, [(name, table.fields, table.document, table.created, list(table.rows))
                 for name, table in one.tables.items()])
                for key, one in self._datasets.items()
            ]  # fmt: skip

    def load(self, state: Any) -> None:
        """Have what was dumped be there again."""
        with self.lock:
            for key, document, created, tables in state:
                made = {name: Table(fields, told, at, rows) for name, fields, told, at, rows in tables}
                self._datasets[key] = Dataset(document, created, made)
