"""Things are created once, found again from anywhere, and deleted for good."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cloudops.errors import Conflict, NotFound, Unavailable, Vetoed
from cloudops.hookspecs import hookimpl
from cloudops.provider import Capability
from cloudops.refs import Phase, Ref
from cloudops.session import Session

from .contract import Contract, requires, with_deploy, with_submit
from .projects import configure, deployment, job

if TYPE_CHECKING:
    from cloudops.events import AfterSubmit, BeforeDelete, BeforeSubmit, StatusChanged
    from cloudops.provider import DeployRequest, JobRequest, Provider

    from .rig import Rig

_SECRET = "never to be seen"
_TRAIN = """
import json, sys, cloudops
given = json.load(sys.stdin)
spec = cloudops.TrainSpec.model_validate_json(json.dumps(given["spec"]))
print(cloudops.connect(**given["place"], **given["settings"]).train(spec).uri)
"""
_ATTACH = """
import sys, cloudops
print(cloudops.attach(sys.argv[1]).status().phase)
"""


class Killed(BaseException):
    """The client is killed: nothing that it would have done afterwards happens."""


class LifecycleContract(Contract):
    """Idempotence, crashes, several clients at once, attaching, planning and deleting."""

    def test_the_same_call_twice_is_one_job(self, rig: Rig) -> None:
        session = rig.session()
        first = session.train(job("nothing"))
        again = session.train(job("nothing"))
        assert again == first
        first.wait(rig.timeout, poll=rig.poll)
        assert session.train(job("nothing")) == first
        assert len(list(session.jobs())) == 1

    def test_the_same_call_in_a_fresh_session_is_one_job(self, rig: Rig) -> None:
        session = rig.session()
        first = rig.train(session, job("nothing"))
        assert rig.session(root=session.root).train(job("nothing")) == first

    def test_a_new_job_is_a_new_job(self, rig: Rig) -> None:
        session = rig.session()
        first = rig.train(session, job("nothing"))
        second = rig.train(session, job("nothing"), new=True)
        assert second != first
        assert len(list(session.jobs())) == 2

    def test_killed_between_intent_and_create(self, rig: Rig) -> None:
        session = rig.session()

        def submit(request: JobRequest) -> Ref:
            raise Killed

        with pytest.raises(Killed):
            _like(session, with_submit(session.provider, submit)).train(job("nothing"))
        assert list(session.jobs()) == []
        done = rig.train(_like(session, session.provider), job("nothing"))
        assert [item.ref for item in session.jobs()] == [done.ref]

    def test_killed_between_create_and_journal(self, rig: Rig) -> None:
        session = rig.session()

        def submit(request: JobRequest) -> Ref:
            session.provider.trainer.submit(request)
            raise Killed

        with pytest.raises(Killed):
            _like(session, with_submit(session.provider, submit)).train(job("nothing"))
        (created,) = session.jobs()
        done = rig.train(_like(session, session.provider), job("nothing"))
        assert done.ref == created.ref
        assert len(list(session.jobs())) == 1

    @pytest.mark.parametrize("acted", [False, True], ids=["before it is created", "after it was created"])
    def test_killed_while_it_deploys(self, rig: Rig, acted: bool) -> None:
        """Between intent and create, and between create and journal: the next call makes one endpoint, one version."""
        session = rig.session()

        def deploy(request: DeployRequest) -> Ref:
            if acted:
                session.provider.deployer.deploy(request)
            raise Killed

        with pytest.raises(Killed):
            _like(session, with_deploy(session.provider, deploy)).deploy(deployment(session.project))
        assert len(list(session.endpoints())) == acted
        endpoint = rig.deploy(_like(session, session.provider), deployment(session.project))
        assert [item.ref for item in session.endpoints()] == [endpoint.ref]
        assert len(endpoint.status().traffic) == 1
        assert endpoint.predict([[1, 2]]) == [6]

    def test_an_answer_that_is_lost_does_not_double_the_job(self, rig: Rig) -> None:
        """The provider acted, its answer never came, and the call is repeated."""
        session = rig.session()
        calls: list[str] = []

        def submit(request: JobRequest) -> Ref:
            found = session.provider.trainer.submit(request)
            calls.append(request.name)
            if len(calls) == 1:
                raise Unavailable("the connection was dropped", provider=rig.name)
            return found

        started = _like(session, with_submit(session.provider, submit)).train(job("nothing"))
        assert len(calls) == 2
        assert calls[0] == calls[1]
        assert [item.ref for item in session.jobs()] == [started.ref]

    def test_two_threads_at_once_make_one_job(self, rig: Rig) -> None:
        root = rig.project()
        sessions = [rig.session(root=root) for _ in range(4)]
        with ThreadPoolExecutor(len(sessions)) as pool:
            found = list(pool.map(lambda session: session.train(job("nothing")), sessions))
        assert len(set(found)) == 1
        assert rig.ended(found[0]) is Phase.SUCCEEDED
        assert len(list(sessions[0].jobs())) == 1

    def test_two_processes_at_once_make_one_job(self, rig: Rig) -> None:
        session = rig.session()
        given = {
            "place": {"provider": rig.name, "project": session.project, "root": str(session.root)},
            "settings": dict(rig.settings),
            "spec": job("nothing").model_dump(mode="json", exclude_unset=True),
        }
        with ThreadPoolExecutor(2) as pool:
            found = set(pool.map(lambda _: _python(_TRAIN, stdin=json.dumps(given)), range(2)))
        assert len(found) == 1
        (listed,) = session.jobs()
        assert found == {str(listed.ref)}

    def test_two_deployments_at_once_make_one_endpoint(self, rig: Rig) -> None:
        root = rig.project()
        sessions = [rig.session(root=root) for _ in range(3)]
        with ThreadPoolExecutor(len(sessions)) as pool:
            found = list(pool.map(lambda session: session.deploy(deployment(session.project)), sessions))
        assert len(set(found)) == 1
        found[0].wait(rig.timeout, poll=rig.poll)
        assert found[0].predict([[1, 2]]) == [6]
        assert len(list(sessions[0].endpoints())) == 1
        assert len(found[0].status().traffic) == 1

    def test_an_endpoint_of_another_project_is_not_taken_over(self, rig: Rig) -> None:
        root = rig.project()
        ours = rig.session(root=root)
        others = rig.session(root=root, project=f"{ours.project}-other")
        endpoint = rig.deploy(ours, deployment(ours.project))
        with pytest.raises(Conflict, match=ours.project):
            others.deploy(deployment(ours.project, "three"))
        assert endpoint.predict([[1, 2]]) == [6]
        assert others.created() == []
        assert [item.ref for item in ours.endpoints()] == [endpoint.ref]

    def test_a_job_is_found_from_another_folder_by_its_uri(self, rig: Rig, tmp_path: Path) -> None:
        done = rig.train(rig.session(), job("nothing"))
        assert Ref.parse(done.uri) == done.ref
        assert _python(_ATTACH, done.uri, folder=tmp_path) == "succeeded"
        assert list(tmp_path.iterdir()) == []

    def test_a_deleted_job_is_gone_with_its_model(self, rig: Rig) -> None:
        session = rig.session()
        done = rig.train(session, job("model", "2"))
        model = done.model()
        done.delete()
        done.delete()
        for look in (done.status, done.model, model.info):
            with pytest.raises(NotFound):
                look()
        assert [*session.jobs(), *session.models()] == []

    def test_two_clients_delete_at_once(self, rig: Rig) -> None:
        root = rig.project()
        sessions = [rig.session(root=root) for _ in range(2)]
        rig.train(sessions[0], job("nothing"))
        sessions[0].train(job("sleep", "600"))
        listed = sessions[0].created()
        with ThreadPoolExecutor(len(sessions)) as pool:
            list(pool.map(lambda session: session.down(listed), sessions))
        assert sessions[0].created() == []

    def test_what_was_deleted_can_be_made_again(self, rig: Rig) -> None:
        session = rig.session()
        rig.train(session, job("model", "2")).delete()
        assert rig.train(session, job("model", "2")).model().info().metrics == {"score": 0.2}

    def test_an_endpoint_outlives_the_job_of_its_model(self, rig: Rig) -> None:
        session = rig.session()
        trained = rig.train(session, job("model", "4"))
        endpoint = rig.deploy(session, deployment(session.project, None), model=trained.model().uri)
        trained.delete()
        assert endpoint.predict([[1, 2]]) == [12.0]

    def test_a_plan_creates_nothing_and_shows_the_native_request(self, rig: Rig) -> None:
        root = rig.project()
        train = job("model", "${{params.scale}}", params={"scale": 6}, envs={"CONTRACT_TEXT": "seen in the plan"})
        configure(
            root,
            name=rig.project_name(root),
            train=train.model_dump(mode="json", exclude_unset=True),
            deploy=deployment("contract").model_dump(mode="json", exclude_unset=True),
        )
        session = rig.session(root=root)
        for step in ("train", "deploy"):
            plan = session.plan(step)
            assert plan.creates
            assert plan.cost
            assert plan.exists is None
            assert json.loads(json.dumps(plan.native))
        assert "seen in the plan" in json.dumps(session.plan("train").native)
        assert session.created() == []
        done = session.train()
        assert session.plan("train").exists == done.ref

    @requires(Capability.SECRETS)
    def test_a_plan_masks_secrets(self, rig: Rig) -> None:
        root = rig.project()
        spec = job("nothing", secrets=["CONTRACT_SECRET"]).model_dump(mode="json", exclude_unset=True)
        configure(root, name=rig.project_name(root), train=spec)
        session = rig.session(root=root, environ={"CONTRACT_SECRET": _SECRET})
        plan = session.plan("train")
        assert "CONTRACT_SECRET" in json.dumps(plan.native)
        assert _SECRET not in repr(plan) + json.dumps(plan.native)

    def test_down_deletes_what_the_project_created_and_nothing_else(self, rig: Rig) -> None:
        root = rig.project()
        ours = rig.session(root=root)
        others = rig.session(root=root, project=f"{ours.project}-other")
        kept = rig.train(others, job("nothing"))
        kept_endpoint = rig.deploy(others, deployment(others.project))
        rig.train(ours, job("model", "2"))
        running = ours.train(job("sleep", "600"))
        endpoint = ours.deploy(deployment(ours.project))
        deleted = ours.down()
        assert {running.ref, endpoint.ref} < set(deleted)
        assert len(deleted) == 3
        assert ours.created() == []
        assert ours.down() == []
        for gone in (running.status, endpoint.status):
            with pytest.raises(NotFound):
                gone()
        assert {item.ref for item in others.created()} == {kept.ref, kept_endpoint.ref}
        assert kept_endpoint.predict([[1, 2]]) == [6]

    def test_observers_are_told_in_order(self, rig: Rig) -> None:
        seen = Recorder()
        session = rig.session(plugins=(seen,))
        started = session.train(job("nothing"))
        started.wait(rig.timeout, poll=rig.poll, on_change=session.notify(started.ref))
        session.train(job("nothing"))
        session.down()
        assert seen.told[:2] == ["before_submit", "after_submit created"]
        assert seen.told[-3:] == ["on_event succeeded", "after_submit found", "before_delete"]

    def test_a_veto_prevents_the_job_and_the_deployment(self, rig: Rig) -> None:
        session = rig.session(plugins=(Refuser(),))
        with pytest.raises(Vetoed, match="not on a Friday"):
            session.train(job("nothing"))
        with pytest.raises(Vetoed, match="not on a Friday"):
            session.deploy(deployment(session.project))
        assert session.created() == []

    def test_check_looks_and_creates_nothing(self, rig: Rig) -> None:
        session = rig.session()
        results = session.check()
        assert results
        assert [result.name for result in results if not result.ok and not result.hint] == []
        assert session.created() == []


class Recorder:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    def before_submit(self, event: BeforeSubmit) -> None:
        self.told.append("before_submit")

    @hookimpl
    def after_submit(self, event: AfterSubmit) -> None:
        self.told.append(f"after_submit {'created' if event.created else 'found'}")

    @hookimpl
    def on_event(self, event: StatusChanged) -> None:
        self.told.append(f"on_event {event.status.phase}")

    @hookimpl
    def before_delete(self, event: BeforeDelete) -> None:
        self.told.append("before_delete")


class Refuser:
    """An observer that refuses everything."""

    @hookimpl
    def before_submit(self, event: BeforeSubmit) -> None:
        raise Vetoed("not on a Friday")


def _like(session: Session, provider: Provider) -> Session:
    """A fresh session, as another process would open it, on ``provider``; retries at once."""
    return Session(provider, project=session.project, root=session.root, place={}, sleep=lambda seconds: None)


def _python(code: str, *arguments: str, stdin: str = "", folder: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=stdin,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
