"""What an endpoint answers, refuses and tells."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from cloudops.errors import DeploymentFailed, InvalidRequest, NotFound, ProviderError
from cloudops.handles import Endpoint, attach
from cloudops.provider import Capability
from cloudops.refs import Phase

from .contract import Contract, requires
from .projects import configure, deployment, job

if TYPE_CHECKING:
    from pathlib import Path

    from cloudops.refs import MetricPoint
    from cloudops.session import Session

    from .rig import Rig

_SECRET = 'swordfish, it\'s "$HOME"'
#: Bodies that no model can take: content type and bytes.
_BAD = {
    "not JSON": ("application/json", b'{"instances": [{"x": 1,'),
    "not UTF-8": ("application/json", b'{"instances": ["\xff"]}'),
    "no rows": ("application/json", b'{"rows": []}'),
    "nothing": ("application/json", b""),
    "rows of two kinds": ("application/json", b'{"instances": [{"x": 1, "y": 2}, [1, 2]]}'),
    "a column is missing": ("application/json", b'{"instances": [{"x": 1}]}'),
    "an unknown type": ("application/x-unheard-of", b"1,2"),
    "no array": ("application/x-npy", b"\x93NUMPY\x01\x00 and no more"),
}


class DeployAnswers(Contract):
    """See :class:`cloudops.testing.DeployContract`."""

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, rig: Rig) -> Session:
        """The session of :meth:`served`."""
        return rig.session()

    @pytest.fixture(scope="class")
    @classmethod
    def served(cls, rig: Rig, session: Session) -> Endpoint:
        """An endpoint that no test changes, with a model of scale 2."""
        return rig.deploy(session, deployment(session.project, "two"))

    def test_it_is_ready_and_found(self, session: Session, served: Endpoint) -> None:
        status = served.status()
        assert status.phase is Phase.READY
        assert list(status.traffic.values()) == [100.0]
        assert status.url is not None
        assert session.endpoint(session.project) == served
        assert [(item.ref, item.phase, item.project) for item in session.endpoints()] == [
            (served.ref, Phase.READY, session.project)
        ]

    def test_rows_may_be_objects_or_lists(self, served: Endpoint) -> None:
        assert served.predict([{"x": 1, "y": 2}, {"x": 0.5, "y": 0}]) == [6, 1.0]
        assert served.predict([[1, 2], [0.5, 0]]) == [6, 1.0]

    def test_many_rows_are_answered_in_order(self, served: Endpoint) -> None:
        assert served.predict([[number, 1] for number in range(2000)]) == [2 * (number + 1) for number in range(2000)]

    def test_rows_may_be_csv(self, served: Endpoint) -> None:
        answer = served.predict_raw(b"1,2\n0.5,0\n", content_type="text/csv")
        assert _predictions(answer.content_type, answer.body) == [6, 1]

    def test_rows_may_be_an_array(self, served: Endpoint) -> None:
        import numpy as np

        body = io.BytesIO()
        np.save(body, np.array([[1.0, 2.0], [0.5, 0.0]]))
        answer = served.predict_raw(body.getvalue(), content_type="application/x-npy")
        assert _predictions(answer.content_type, answer.body) == [6, 1]

    @pytest.mark.parametrize("what", _BAD)
    def test_bad_requests_are_refused_with_a_reason(self, served: Endpoint, what: str) -> None:
        content_type, body = _BAD[what]
        with pytest.raises(InvalidRequest) as caught:
            served.predict_raw(body, content_type=content_type)
        assert caught.value.ref == served.uri
        assert len(str(caught.value)) > len(served.ref.id) + 20
        assert served.predict([[1, 2]]) == [6]

    def test_the_models_own_reason_is_told(self, served: Endpoint) -> None:
        with pytest.raises(InvalidRequest, match="a row needs the columns x and y"):
            served.predict([{"x": 1}])

    def test_a_failing_model_is_an_error_of_the_endpoint(self, served: Endpoint) -> None:
        with pytest.raises(ProviderError, match="asked to fail") as caught:
            served.predict([{"ask": "fail"}])
        assert not isinstance(caught.value, InvalidRequest)
        assert served.predict([[1, 2]]) == [6]

    def test_the_log_has_what_replicas_print(self, rig: Rig, served: Endpoint) -> None:
        rig.until(
            lambda: [line.text for line in served.logs()],
            lambda lines: "loaded a model of scale 2" in lines,
            "the replica's line",
        )
        # Servers that log each request go on while this one looks.
        rig.until(
            lambda: ([line.text for line in served.logs(tail=1)], [line.text for line in served.logs()][-1:]),
            lambda ends: bool(ends[0]) and ends[0] == ends[1],
            "the log to have one end",
        )

    def test_it_is_found_from_another_folder_by_its_uri(self, served: Endpoint, tmp_path: Path) -> None:
        found = attach(served.uri, root=tmp_path)
        assert isinstance(found, Endpoint)
        assert found.predict([[1, 2]]) == [6]
        assert list(tmp_path.iterdir()) == []

    def test_the_same_deployment_again_changes_nothing(self, rig: Rig, session: Session, served: Endpoint) -> None:
        before = served.status()
        again = rig.deploy(session, deployment(session.project, "two"))
        assert again == served
        assert again.status().traffic == before.traffic
        assert again.status().url == before.url

    @requires(Capability.MONITOR)
    def test_requests_errors_and_latency_are_counted_in_common_units(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, "two"))
        since = time.time() - 1
        for _ in range(4):
            endpoint.predict([{"ask": "sleep", "seconds": 0.25}])
        with pytest.raises(InvalidRequest):
            endpoint.predict([{"x": 1}])
        with pytest.raises(ProviderError):
            endpoint.predict([{"ask": "fail"}])

        def counted() -> dict[str, float]:
            return _by_name(endpoint.metrics(since=since))

        found = rig.until(counted, lambda values: values.get("requests") == 6, "six counted requests")
        assert (found["errors"], found["client_errors"]) == (1, 1)
        assert 0.2 < found["latency_p50"] < 5
        assert found["latency_p50"] <= found["latency_p90"] <= found["latency_p99"]
        assert (
            endpoint.metrics(since=since - 3600, until=since - 1800) == []
            or _by_name(endpoint.metrics(since=since - 3600, until=since - 1800))["requests"] == 0
        )

    def test_variables_reach_the_replicas(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, envs={"CONTRACT_TEXT": 'it\'s "$HOME" é'}))
        assert endpoint.predict([{"ask": "variable", "name": "CONTRACT_TEXT"}]) == ['it\'s "$HOME" é']

    @requires(Capability.SECRETS)
    def test_secrets_reach_the_replicas_and_nothing_else(self, rig: Rig) -> None:
        session = rig.session(environ={"CONTRACT_SECRET": _SECRET})
        endpoint = rig.deploy(session, deployment(session.project, secrets=["CONTRACT_SECRET"]))
        digest = hashlib.sha256(_SECRET.encode()).hexdigest()
        assert endpoint.predict([{"ask": "secret", "name": "CONTRACT_SECRET"}]) == [digest]
        assert not _files_with(_SECRET, session.root)
        assert _SECRET not in repr((endpoint.status(), list(session.endpoints())))

    @requires(Capability.SECRETS)
    def test_secrets_are_never_shown(self, rig: Rig) -> None:
        """Not in logs, errors, statuses, plans or the files of the project, even when the model prints one."""
        root = rig.project()
        limit = f"{rig.readiness:g}s"
        spec = deployment(rig.project_name(root), "leaking", secrets=["CONTRACT_SECRET"], readiness_timeout=limit)
        configure(root, name=rig.project_name(root), deploy=spec.model_dump(mode="json", exclude_unset=True))
        session = rig.session(root=root, environ={"CONTRACT_SECRET": _SECRET})
        plan = session.plan("deploy")
        assert "CONTRACT_SECRET" in json.dumps(plan.native)
        failed = session.deploy()
        with pytest.raises(DeploymentFailed) as caught:
            failed.wait(rig.timeout, poll=rig.poll)
        logs = rig.until(
            lambda: [line.text for line in failed.logs()],
            lambda lines: any("the secret is" in text for text in lines),
            "the replica's line",
        )
        error = caught.value
        shown = [repr(plan), str(error), repr(error), *logs]
        shown += [repr(failed), repr(failed.status()), repr(list(session.endpoints()))]
        assert not [text for text in shown if _SECRET in text]
        assert not _files_with(_SECRET, root)

    @requires(Capability.TRAIN)
    def test_a_trained_model_is_served(self, rig: Rig) -> None:
        session = rig.session()
        model = rig.train(session, job("model", "11")).model()
        endpoint = rig.deploy(session, deployment(session.project, None), model=model.uri)
        assert endpoint.predict([[1, 2]]) == [33.0]

    @requires(Capability.TOKEN_AUTH)
    def test_a_token_is_asked_for(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, auth="token"))
        assert endpoint.predict([[1, 2]]) == [6]
        url = endpoint.status().url
        assert url is not None
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(url, data=b'{"instances": [[1, 2]]}'), timeout=10)
        assert caught.value.code in (401, 403)

    @requires(Capability.AUTOSCALING)
    def test_replicas_are_added_under_load_and_no_more_than_allowed(self, rig: Rig) -> None:
        root = rig.project()
        overrides = {rig.name: {"deploy": dict(rig.scaling)}} if rig.scaling else {}
        configure(root, name=rig.project_name(root), overrides=overrides)
        session = rig.session(root=root)
        endpoint = rig.deploy(session, deployment(session.project, min_replicas=1, max_replicas=2))

        def answering() -> set[int]:
            rig.advance(rig.between_bursts)
            with ThreadPoolExecutor(16) as pool:
                asked = [pool.submit(endpoint.predict, [{"ask": "sleep", "seconds": 0.4}]) for _ in range(32)]
                return {each.result()[0] for each in asked}

        replicas = rig.until(answering, lambda found: len(found) > 1, "a second replica")
        assert len(replicas) == 2

    @requires(Capability.AUTOSCALING)
    def test_there_are_as_many_replicas_as_asked_for(self, rig: Rig) -> None:
        """From the moment when it is ready, and without load that would have added them."""
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project, min_replicas=2, max_replicas=3))
        for _ in range(2):
            assert 2 <= len(_replicas(endpoint)) <= 3
            rig.advance(rig.between_bursts)

    @requires(Capability.LOG_FOLLOW)
    def test_following_its_log_ends_when_it_is_deleted(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project))
        seen: list[str] = []
        reader = threading.Thread(target=lambda: seen.extend(line.text for line in endpoint.logs(follow=True)))
        reader.start()
        rig.until(lambda: list(seen), lambda lines: "loaded a model of scale 2" in lines, "the replica's line")
        endpoint.delete()
        reader.join(rig.timeout)
        assert not reader.is_alive()

    def test_delete_twice(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project))
        endpoint.delete()
        endpoint.delete()
        with pytest.raises(NotFound):
            endpoint.status()
        with pytest.raises(ProviderError):
            endpoint.predict([[1, 2]])
        assert list(session.endpoints()) == []


def _replicas(endpoint: Endpoint) -> set[int]:
    """The processes that answer a few requests at once."""
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(endpoint.predict, [{"ask": "sleep", "seconds": 0.2}]) for _ in range(16)]
        return {each.result()[0] for each in asked}


def _files_with(text: str, root: Path) -> list[Path]:
    """The files below ``root`` that hold ``text``."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if text.encode() in path.read_bytes()]


def _predictions(content_type: str, body: bytes) -> list[Any]:
    """The predictions in an answer, in whichever of the common forms it is."""
    kind = content_type.partition(";")[0].strip()
    if kind == "application/json":
        value = json.loads(body)
        found: list[Any] = value["predictions"] if isinstance(value, dict) else value
        return found
    if kind == "text/csv":
        return [float(line) for line in body.decode().split()]
    import numpy as np

    assert kind == "application/x-npy", content_type
    return list(np.load(io.BytesIO(body)).tolist())


def _by_name(points: list[MetricPoint]) -> dict[str, float]:
    assert len({point.labels.get("version") for point in points}) <= 1
    return {point.name: point.value for point in points}
