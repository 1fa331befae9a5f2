"""How one version takes over from another: without a failed request, by shares, and back again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cloudops.errors import CloudopsError, ConfigError, Conflict, DeploymentFailed, InvalidRequest, NotFound
from cloudops.provider import Capability
from cloudops.refs import Phase

from .contract import Contract, requires
from .projects import deployment

if TYPE_CHECKING:
    from cloudops.handles import Endpoint
    from cloudops.session import Session
    from cloudops.specs import DeploySpec

    from .rig import Rig

_ROW = [1, 0]


class DeployRollout(Contract):
    """See :class:`cloudops.testing.DeployContract`."""

    @pytest.fixture(scope="class")
    @classmethod
    def two_versions(cls, rig: Rig) -> tuple[Endpoint, str, str]:
        """An endpoint with its versions of scale 2 and 3; a test sets the traffic that it needs."""
        rig.need(Capability.TRAFFIC_SPLIT)
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, "two"))
        (first,) = endpoint.status().traffic
        rig.deploy(session, deployment(session.project, "three"))
        (second,) = endpoint.status().traffic
        return endpoint, first, second

    def test_an_update_fails_no_request(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, "two"))
        url = endpoint.status().url
        with _asking(endpoint) as answers:
            rig.until(lambda: answers["2"], lambda count: count > 5, "answers of the first version")
            rig.deploy(session, deployment(session.project, "three"))
            rig.until(lambda: answers["3"], lambda count: count > 5, "answers of the second version")
        assert set(answers) == {"2", "3"}
        assert endpoint.predict([_ROW]) == [3]
        assert endpoint.status().url == url
        assert list(endpoint.status().traffic.values()) == [100.0]

    def test_a_first_version_that_cannot_serve_fails_with_its_reason(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = session.deploy(_unloadable(rig, session))
        with pytest.raises(DeploymentFailed, match="this model cannot be loaded"):
            endpoint.wait(rig.timeout, poll=rig.poll)
        assert endpoint.status().phase is Phase.FAILED
        endpoint.delete()
        assert list(session.endpoints()) == []

    def test_a_failed_endpoint_can_be_deployed_to(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = session.deploy(_unloadable(rig, session))
        with pytest.raises(DeploymentFailed):
            endpoint.wait(rig.timeout, poll=rig.poll)
        assert rig.deploy(session, deployment(session.project, "two")).predict([_ROW]) == [2]

    def test_a_version_that_never_becomes_ready_does_not_take_over(self, rig: Rig) -> None:
        """The version before goes on serving, waiting fails, and the status names what was refused and why."""
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, "two"))
        before = endpoint.status().traffic
        with _asking(endpoint) as answers:
            session.deploy(_unloadable(rig, session))
            with pytest.raises(DeploymentFailed, match="this model cannot be loaded"):
                endpoint.wait(rig.timeout, poll=rig.poll)
        status = endpoint.status()
        assert set(answers) == {"2"}
        assert status.phase is Phase.READY
        assert status.traffic == before
        assert status.refused
        assert status.refused not in before
        assert rig.deploy(session, deployment(session.project, "three")).status().refused == ""

    @requires(Capability.TRAFFIC_SPLIT)
    def test_traffic_is_split_by_version(self, rig: Rig, two_versions: tuple[Endpoint, str, str]) -> None:
        endpoint, first, second = two_versions
        endpoint.traffic({first: 25, second: 75})
        endpoint.wait(rig.timeout, poll=rig.poll)
        assert endpoint.status().traffic == {first: 25.0, second: 75.0}
        counts = Counter(endpoint.predict([_ROW])[0] for _ in range(200))
        # 200 independent draws of 25 % stay within 50 +- 24 in all but one of 10,000 runs.
        assert 26 <= counts[2] <= 74
        assert counts[2] + counts[3] == 200

    @requires(Capability.TRAFFIC_SPLIT)
    def test_a_version_can_be_asked_for(self, rig: Rig, two_versions: tuple[Endpoint, str, str]) -> None:
        endpoint, first, second = two_versions
        endpoint.traffic({first: 50, second: 50})
        endpoint.wait(rig.timeout, poll=rig.poll)
        for version, answer in ((first, 2), (second, 3)):
            assert {endpoint.predict([_ROW], version=version)[0] for _ in range(5)} == {answer}

    @requires(Capability.TRAFFIC_SPLIT)
    @pytest.mark.parametrize("share", [40, 60.5, -40])
    def test_shares_must_add_up(self, two_versions: tuple[Endpoint, str, str], share: float) -> None:
        endpoint, first, second = two_versions
        shares = {first: share, second: 140 if share < 0 else 50}
        with pytest.raises(ConfigError):
            endpoint.traffic(shares)
        with pytest.raises(InvalidRequest):
            endpoint.provider.deployer.set_traffic(endpoint.ref, shares)

    @requires(Capability.TRAFFIC_SPLIT)
    def test_traffic_goes_to_known_versions_only(self, two_versions: tuple[Endpoint, str, str]) -> None:
        endpoint, first, _ = two_versions
        with pytest.raises((InvalidRequest, NotFound)):
            endpoint.traffic({first: 50, "no-such-version": 50})

    @requires(Capability.ROLLBACK)
    def test_rollback_gives_the_traffic_back(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, "two"))
        with pytest.raises(Conflict):
            endpoint.rollback()
        rig.deploy(session, deployment(session.project, "three"))
        with _asking(endpoint) as answers:
            endpoint.rollback()
            rig.until(lambda: answers["2"], lambda count: count > 5, "answers of the version before")
        endpoint.wait(rig.timeout, poll=rig.poll)
        assert set(answers) <= {"2", "3"}
        assert endpoint.predict([_ROW]) == [2]

    @requires(Capability.CANARY)
    def test_a_canary_gets_its_share_and_then_all(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, "two"))
        with _asking(endpoint) as answers:
            session.deploy(deployment(session.project, "three", traffic=_canary(rig, "20%")))
            rig.until(lambda: answers["3"], lambda count: count > 0, "the canary's first answer")
            baking = endpoint.status()
            before = answers.copy()
            # Of 80 draws of 20 % none, or more than half, comes up less than once in ten million runs.
            counts = rig.until(lambda: answers - before, lambda new: sum(new.values()) >= 80, "80 answers")
            endpoint.wait(rig.timeout, poll=rig.poll)
        assert baking.phase is Phase.UPDATING
        assert sorted(baking.traffic.values()) == [20.0, 80.0]
        assert 0 < counts["3"] < counts["2"]
        assert set(answers) == {"2", "3"}
        assert endpoint.predict([_ROW]) == [3]

    @requires(Capability.CANARY)
    def test_a_canary_with_errors_is_rolled_back(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, "two"))
        before = endpoint.status().traffic
        with _asking(endpoint) as answers:
            session.deploy(deployment(session.project, "broken", traffic=_canary(rig, "50%", longer=10)))
            with pytest.raises(DeploymentFailed, match="rolled back"):
                endpoint.wait(rig.timeout, poll=rig.poll)
        status = endpoint.status()
        assert (status.phase, status.traffic) == (Phase.READY, before)
        assert status.refused not in {"", *before}
        assert [name for name in answers if name != "2"], "the canary was never asked"
        assert {endpoint.predict([_ROW])[0] for _ in range(10)} == {2}

    @requires(Capability.CANARY)
    def test_a_canary_that_does_not_stay_healthy_is_rolled_back(self, rig: Rig) -> None:
        """Its process ends a second after it was ready; nobody asks it anything."""
        if rig.blind_to_health:
            rig.cannot(f"see a canary die: {rig.blind_to_health}")
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, "two"))
        before = endpoint.status().traffic
        limit = f"{rig.readiness:g}s"
        session.deploy(
            deployment(session.project, "mortal", traffic=_canary(rig, "50%", longer=10), readiness_timeout=limit)
        )
        with pytest.raises(DeploymentFailed, match="rolled back"):
            endpoint.wait(rig.timeout, poll=rig.poll)
        status = endpoint.status()
        assert (status.phase, status.traffic) == (Phase.READY, before)
        assert {endpoint.predict([_ROW])[0] for _ in range(10)} == {2}


def _unloadable(rig: Rig, session: Session) -> DeploySpec:
    return deployment(session.project, "unloadable", readiness_timeout=f"{rig.readiness:g}s")


def _canary(rig: Rig, share: str, *, longer: float = 1) -> dict[str, str]:
    return {"canary": share, "bake": f"{rig.bake * longer:g}s"}


@contextmanager
def _asking(endpoint: Endpoint) -> Iterator[Counter[str]]:
    """Ask the endpoint without a pause; counts predictions, and errors by their text."""
    answers: Counter[str] = Counter()
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                answers[f"{endpoint.predict([_ROW])[0]:g}"] += 1
            except CloudopsError as error:
                answers[str(error)] += 1
            time.sleep(0.005)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()
