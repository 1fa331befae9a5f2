"""Predictions for whole tables, without an endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudops.errors import ConfigError, JobFailed
from cloudops.provider import Capability
from cloudops.refs import Phase
from cloudops.specs import BatchSpec
from cloudops.store.fetch import fetch

from .contract import Contract, requires
from .projects import configure, job

if TYPE_CHECKING:
    from cloudops.handles import Job

    from .rig import Rig

_ROWS = 1203


class TrainBatch(Contract):
    """See :class:`cloudops.testing.TrainContract`."""

    @requires(Capability.BATCH)
    def test_a_batch_predicts_every_row_in_order(self, rig: Rig) -> None:
        root = rig.project()
        _table(root / "data" / "rows.csv", "x,y,late\n" + "".join(f"{n},{n + 1},1\n" for n in range(_ROWS)))
        session = rig.session(root=root)
        started = session.batch(_batch("data/rows.csv", label="late"))
        started.wait(rig.timeout, poll=rig.poll)
        assert predictions(started, root) == [2.0 * (2 * n + 1) for n in range(_ROWS)]

    @requires(Capability.BATCH)
    def test_json_lines_keep_what_a_row_is(self, rig: Rig) -> None:
        root = rig.project()
        _table(root / "data" / "rows.jsonl", "[1, 2]\n\n[3, 4.5]\n[-1, 1]")
        session = rig.session(root=root)
        started = session.batch(_batch("data/rows.jsonl", model="models/three"))
        started.wait(rig.timeout, poll=rig.poll)
        assert predictions(started, root) == [9, 22.5, 0]

    @requires(Capability.BATCH)
    @pytest.mark.parametrize(("name", "text"), [("empty.jsonl", " \n\n"), ("empty.csv", "x,y\n")])
    def test_a_table_without_rows_is_refused(self, rig: Rig, name: str, text: str) -> None:
        root = rig.project()
        _table(root / "data" / name, text)
        session = rig.session(root=root)
        with pytest.raises(ConfigError, match="has no rows to predict"):
            session.batch(_batch(f"data/{name}"))
        assert list(session.jobs()) == []

    @requires(Capability.BATCH)
    def test_the_model_of_a_job_predicts_and_the_same_batch_is_found(self, rig: Rig) -> None:
        root = rig.project()
        _table(root / "data" / "rows.csv", "x,y\n1,2\n")
        session = rig.session(root=root)
        model = rig.train(session, job("model", "4")).model().uri
        started = session.batch(_batch("data/rows.csv", model=None), model=model)
        started.wait(rig.timeout, poll=rig.poll)
        assert predictions(started, root) == [12]
        assert session.batch(_batch("data/rows.csv", model=None), model=model).ref == started.ref
        assert {item.step for item in session.jobs()} == {"train", "batch"}

    @requires(Capability.BATCH)
    def test_rows_that_the_model_refuses_fail_the_job_with_the_reason(self, rig: Rig) -> None:
        root = rig.project()
        _table(root / "data" / "rows.csv", "x,z\n1,2\n")
        started = rig.session(root=root).batch(_batch("data/rows.csv"))
        with pytest.raises(JobFailed, match="needs the columns x and y"):
            started.wait(rig.timeout, poll=rig.poll)

    @requires(Capability.BATCH)
    def test_a_batch_is_planned_cancelled_and_deleted_as_a_job_is(self, rig: Rig) -> None:
        root = rig.project()
        _table(root / "data" / "rows.jsonl", '{"ask": "sleep", "seconds": 600}\n')
        spec = _batch("data/rows.jsonl").model_dump(mode="json", exclude_unset=True)
        configure(root, name=rig.project_name(root), batch=spec)
        session = rig.session(root=root)
        assert session.plan("batch").creates
        assert session.created() == []
        started = session.batch()
        assert session.plan("batch").exists == started.ref
        rig.until(started.status, lambda status: status.phase is Phase.RUNNING, "the batch to run")
        started.cancel()
        assert rig.ended(started) is Phase.CANCELLED
        session.down()
        assert session.created() == []

    @requires(Capability.BATCH)
    def test_a_table_that_cannot_be_read_is_refused_before_anything_is_created(self, rig: Rig) -> None:
        root = rig.project()
        _table(root / "data" / "empty.csv", "x,y\n")
        session = rig.session(root=root)
        for wrong in ({"data": "data/empty.csv"}, {"data": "data/part-1.csv", "label": "nothing"}):
            with pytest.raises(ConfigError, match="batch"):
                session.batch(_batch(**wrong))
        assert session.created() == []


def predictions(started: Job, root: Path) -> list[Any]:
    """What a batch predicted, in the order of its only file."""
    [file] = sorted(Path(fetch(_as_folder(started.outputs()["predictions"]), root / ".cloudops" / "store")).iterdir())
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _as_folder(place: str) -> str:
    return place if "://" not in place or place.endswith("/") else f"{place}/"


def _batch(data: str, model: str | None = "models/two", **fields: Any) -> BatchSpec:
    return BatchSpec(data=data, model=model, predictor="serve/predictor.py", **fields)


def _table(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
