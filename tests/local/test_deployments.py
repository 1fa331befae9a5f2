"""Deployments that do not come to be, or that another one overtakes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from cloudops_local import endpoints
from cloudops_local.layout import Layout

import cloudops
from cloudops.errors import CloudopsError, DeploymentFailed, ProviderError
from cloudops.refs import Phase
from cloudops.session import Session
from cloudops.testing.projects import configure, deployment, job


def test_a_deployment_that_another_one_overtakes_fails(session: Session) -> None:
    session.deploy(deployment("small")).wait()
    first = session.deploy(deployment("small", "three"))
    second = session.deploy(deployment("small", "five"))
    second.wait()
    with pytest.raises(DeploymentFailed, match="was superseded: another deployment brought"):
        first.wait()
    assert second.predict([[1, 2]]) == [15]
    [live] = second.status().traffic
    second.rollback()
    second.wait()  # another version serves, as was asked for
    assert live not in second.status().traffic


def test_a_first_deployment_that_is_refused_leaves_nothing(root: Path, layout: Layout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        overrides = {"local": {"deploy": {"port": port}}}
        deploy = deployment("small").model_dump(mode="json", exclude_unset=True)
        session = cloudops.connect(file=configure(root, name="small", deploy=deploy, overrides=overrides), environ={})
        with pytest.raises(ProviderError, match=f"port {port} on 127.0.0.1 is in use"):
            session.deploy()
    assert session.created() == []
    assert not layout.endpoint("small").exists()
    assert not layout.versions("small").exists()


def test_a_later_deployment_that_is_refused_leaves_the_endpoint(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = session.deploy(deployment("small"))
    endpoint.wait()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(endpoints, "_serve_from", refuse)
    with pytest.raises(ProviderError, match="No space left"):
        session.deploy(deployment("small", "three"))
    monkeypatch.undo()
    assert endpoint.predict([[1, 2]]) == [6]


def test_a_damaged_lineage_is_said(session: Session, layout: Layout) -> None:
    done = session.train(job("model", "2"))
    done.wait()
    layout.job(done.ref.id).lineage.write_text("{")
    with pytest.raises(ProviderError, match=r"lineage\.json is damaged"):
        done.model()


def test_a_job_whose_folder_was_removed_by_hand_is_said_and_can_be_deleted(session: Session, layout: Layout) -> None:
    done = session.train(job("nothing"))
    done.wait()
    state = layout.job(done.ref.id).run
    for path in state.iterdir():
        if path.is_file():
            path.unlink()
    with pytest.raises(CloudopsError, match=r"there is no job in .*its folder was removed by hand"):
        done.status()
    done.delete()
    assert session.created() == []


def test_a_job_that_is_cancelled_is_seen_to_stop(session: Session) -> None:
    running = session.train(job("sleep", "600"))
    while running.status().phase is not Phase.RUNNING:
        pass
    running.cancel()
    assert running.status().phase in (Phase.STOPPING, Phase.CANCELLED)
