"""What every monitor must do."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from cloudops.provider import Capability
from cloudops.specs import MonitorSpec

from .contract import Contract, requires
from .projects import deployment

if TYPE_CHECKING:
    from pathlib import Path

    from cloudops.handles import Endpoint
    from cloudops.provider import Captured
    from cloudops.session import Session

    from .rig import Rig

_ALL = {"sample": "100%"}
_ROWS = 600


class MonitorContract(Contract):
    """What went through an endpoint is counted and kept, and held against a reference."""

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, rig: Rig) -> Session:
        """The session of :meth:`watched`."""
        return rig.session()

    @pytest.fixture(scope="class")
    @classmethod
    def watched(cls, rig: Rig, session: Session) -> Endpoint:
        """An endpoint that keeps all requests."""
        rig.need(Capability.CAPTURE)
        return rig.deploy(session, deployment(session.project, capture=_ALL))

    @requires(Capability.MONITOR)
    def test_an_endpoint_without_traffic_has_no_requests(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project))
        assert [point.value for point in endpoint.metrics() if point.name == "requests" and point.value] == []
        assert list(endpoint.provider.monitor.captured(endpoint.ref, since=0, until=time.time() + 60)) == []

    @requires(Capability.MONITOR)
    def test_metrics_know_their_version(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project))
        (version,) = endpoint.status().traffic
        endpoint.predict([[1, 2]])
        points = rig.until(endpoint.metrics, lambda found: any(p.name == "requests" and p.value for p in found), "one")
        assert {point.labels["version"] for point in points if point.value} == {version}
        assert len({(point.name, *point.labels.items()) for point in points}) == len(points)

    @requires(Capability.MONITOR, Capability.CAPTURE)
    def test_requests_are_kept_with_their_answers(self, rig: Rig, watched: Endpoint) -> None:
        (version,) = watched.status().traffic
        since = time.time()
        rows: list[Any] = [{"x": 1, "y": 2.5}, {"x": 3, "y": 4}]
        assert watched.predict(rows) == [7.0, 14]
        watched.predict([[5, 6]])
        found = _kept(rig, watched, since, 2)
        assert [(list(each.inputs), list(each.outputs)) for each in found] == [(rows, [7.0, 14]), ([[5, 6]], [22])]
        assert {each.version for each in found} <= {version, ""}
        assert all(since - 2 <= each.time <= time.time() + 2 for each in found)

    @requires(Capability.MONITOR, Capability.CAPTURE)
    def test_a_time_window_is_kept(self, rig: Rig, watched: Endpoint) -> None:
        since = time.time()
        watched.predict([[0, 1]])
        first = _kept(rig, watched, since, 1)[0]
        monitor = watched.provider.monitor
        assert list(monitor.captured(watched.ref, since=first.time + 60, until=first.time + 120)) == []
        assert list(monitor.captured(watched.ref, since=since - 120, until=since - 60)) == []

    @requires(Capability.MONITOR, Capability.CAPTURE)
    def test_only_a_sample_is_kept(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, capture={"sample": "30%"}))
        since = time.time()
        for _ in range(200):
            endpoint.predict([[1, 1]])
        found = _kept(rig, endpoint, since, 20)
        # 200 draws of 30 %: outside 30 to 95 less than once in a million runs.
        assert 20 <= len(found) <= 95

    @requires(Capability.MONITOR, Capability.CAPTURE)
    def test_drift_is_found_in_the_column_that_moved(self, session: Session, watched: Endpoint) -> None:
        _table(session.root / "reference.csv", seed=1)
        _table(session.root / "same.csv", seed=2)
        _table(session.root / "moved.csv", seed=3, shift=2.0)
        spec = MonitorSpec(
            endpoint=watched.uri, reference="reference.csv", replay={"same": "same.csv", "moved": "moved.csv"}
        )
        found = session.monitor(spec)
        assert (found.verdict, found.drifted) == ("drift", ("x",))
        document = json.loads(found.json.read_text(encoding="utf-8"))
        assert document["verdict"] == "drift"
        page = found.html.read_text(encoding="utf-8")
        assert watched.ref.id in page
        assert "moved" in page
        # Nothing is loaded from elsewhere.
        assert "<script src" not in page
        assert "<link" not in page

    @requires(Capability.MONITOR, Capability.CAPTURE)
    def test_no_drift_is_found_where_there_is_none(self, session: Session, watched: Endpoint) -> None:
        _table(session.root / "reference.csv", seed=1)
        _table(session.root / "same.csv", seed=2)
        found = session.monitor(MonitorSpec(endpoint=watched.uri, reference="reference.csv", replay={"a": "same.csv"}))
        assert (found.verdict, found.drifted) == ("ok", ())


def _kept(rig: Rig, endpoint: Endpoint, since: float, count: int) -> list[Captured]:
    """The requests kept since then, once there are ``count``; they may take a moment to show up."""
    monitor = endpoint.provider.monitor
    return rig.until(
        lambda: list(monitor.captured(endpoint.ref, since=since - 1e-3, until=time.time() + 60)),
        lambda found: len(found) >= count,
        f"{count} kept requests",
    )


def _table(path: Path, *, seed: int, shift: float = 0.0) -> None:
    """A table of x and y, both normal; ``shift`` moves x."""
    draw = random.Random(seed)
    rows = [f"{draw.gauss(shift, 1):.4f},{draw.gauss(0, 1):.4f}\n" for _ in range(_ROWS)]
    path.write_text("x,y\n" + "".join(rows), encoding="utf-8")
