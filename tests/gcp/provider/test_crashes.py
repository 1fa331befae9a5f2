"""A client that is killed at any of its calls leaves what the next one goes on with, and ``down`` leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudops.offline import OfflineCloud
from cloudops.opening import connect
from cloudops.session import Session
from cloudops.testing.projects import deployment, write_project

pytestmark = pytest.mark.timeout(240)

#: The calls of a deployment that change something in Vertex AI.
CHANGING = ("aiplatform.models.upload", "aiplatform.endpoints.create", "aiplatform.endpoints.deploy")


class Killed(BaseException):
    """What nothing catches."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with OfflineCloud() as cloud, cloud.active():
        folder = tmp_path_factory.mktemp("crashes") / "project"
        write_project(folder)
        yield folder


def opened(root: Path, project: str) -> Session:
    return connect(provider="vertex", root=root, project=project)


def dying(session: Session, call: str, *, done: bool) -> None:
    """Have the session's client die at a call: before it is made, or once it was ``done``."""
    provider: Any = session.provider
    client = provider._client
    request = client.request

    def asked(name: str, *given: Any, **more: Any) -> Any:
        if name == call and not done:
            raise Killed
        answer = request(name, *given, **more)
        if name == call:
            raise Killed
        return answer

    client.request = asked


def left(session: Session) -> dict[str, list[str]]:
    """What there is of a session's project in the cloud."""
    provider: Any = session.provider
    deployer, client = provider.deployer, provider._client
    places = list(deployer._storage.sizes(deployer._where(session.project).layout.endpoints))
    return {
        "endpoints": [each["name"] for each in deployer._endpoints.all(f'labels.cloudops_project="{session.project}"')],
        "models": [each["name"] for each in deployer._models.all(session.project)],
        "objects": [name for name, _ in places if client.bucket],
    }


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("call", CHANGING)
def test_a_deployment_that_was_cut_off_is_gone_on_with(root: Path, call: str, done: bool) -> None:
    project = f"crash-{CHANGING.index(call)}-{int(done)}"
    first, second = opened(root, project), opened(root, project)
    dying(first, call, done=done)
    with pytest.raises(Killed):
        first.deploy(deployment(project, "two"))
    endpoint = second.deploy(deployment(project, "two"))
    endpoint.wait(60, poll=0.05)
    assert endpoint.predict([[1, 2]]) == [6]
    found = left(second)
    assert (len(found["endpoints"]), len(found["models"])) == (1, 1)
    second.down()
    assert left(second) == {"endpoints": [], "models": [], "objects": []}


def test_down_takes_what_was_never_gone_on_with(root: Path) -> None:
    session, other = opened(root, "crash-left"), opened(root, "crash-left")
    dying(session, "aiplatform.endpoints.create", done=False)
    with pytest.raises(Killed):
        session.deploy(deployment("crash-left", "two"))
    assert left(other)["models"]
    other.down()
    assert left(other) == {"endpoints": [], "models": [], "objects": []}


def test_a_deployment_that_the_service_refuses_leaves_nothing_half_made(root: Path) -> None:
    session = opened(root, "crash-refused")
    with pytest.raises(Exception, match="machine"):
        session.deploy(deployment("crash-refused", "two", resources={"instance_type": "n1-imaginary-3"}))
    assert left(session)["endpoints"] == []
    assert left(session)["models"] == []
