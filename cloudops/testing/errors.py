"""How every provider refuses and fails: with a typed error that says what, where and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from cloudops.errors import (
    AuthError,
    CloudopsError,
    ConfigError,
    NoCapacity,
    NotFound,
    QuotaExceeded,
    Throttled,
    Unavailable,
    UnsupportedFeature,
)
from cloudops.handles import Endpoint, Job
from cloudops.provider import Capability
from cloudops.refs import Phase, Ref

from .contract import Contract, requires
from .projects import configure, deployment, job
from .rig import Fault

if TYPE_CHECKING:
    from cloudops.session import Session

    from .rig import Rig

_JOB_VERBS: dict[str, Callable[[Job], Any]] = {
    "status": Job.status,
    "logs": lambda absent: list(absent.logs()),
    "logs of the end": lambda absent: list(absent.logs(tail=5)),
    "logs that follow": lambda absent: list(absent.logs(follow=True)),
    "metrics": Job.metrics,
    "outputs": Job.outputs,
    "cancel": Job.cancel,
    "model": Job.model,
}
_NEEDS = {
    "logs that follow": Capability.LOG_FOLLOW,
    "traffic": Capability.TRAFFIC_SPLIT,
    "rollback": Capability.ROLLBACK,
    "metrics of an endpoint": Capability.MONITOR,
    "captured": Capability.MONITOR,
}
_ENDPOINT_VERBS: dict[str, Callable[[Endpoint], Any]] = {
    "status": Endpoint.status,
    "predict": lambda absent: absent.predict([[1, 2]]),
    "traffic": lambda absent: absent.traffic({"v1": 100}),
    "rollback": Endpoint.rollback,
    "logs": lambda absent: list(absent.logs()),
    "metrics of an endpoint": Endpoint.metrics,
    "captured": lambda absent: list(absent.provider.monitor.captured(absent.ref, since=0, until=1)),
}
#: Capability to a spec that needs it.
_JOBS: dict[Capability, dict[str, Any]] = {
    Capability.IMAGE: {"image": "registry.example/image:1"},
    Capability.REQUIREMENTS: {"requirements": "requirements.txt"},
    Capability.SECRETS: {"secrets": ["CONTRACT_SECRET"]},
    Capability.TIMEOUT: {"timeout": "1h"},
    Capability.RETRIES: {"retries": 1},
    Capability.ACCELERATORS: {"resources": {"accelerators": "T4:1"}},
    Capability.SPOT: {"resources": {"use_spot": True}},
    Capability.MULTI_NODE: {"resources": {"num_nodes": 2}},
    Capability.DISK_SIZE: {"resources": {"disk_size": 1}},
    Capability.INSTANCE_TYPE: {"resources": {"instance_type": "any"}},
    Capability.REMOTE_INPUTS: {"inputs": {"table": "https://data.example/table.csv"}},
}
_DEPLOYMENTS: dict[Capability, dict[str, Any]] = {
    Capability.IMAGE: {"image": "registry.example/image:1"},
    Capability.REQUIREMENTS: {"requirements": "requirements.txt"},
    Capability.SECRETS: {"secrets": ["CONTRACT_SECRET"]},
    Capability.ACCELERATORS: {"resources": {"accelerators": "T4:1"}},
    Capability.INSTANCE_TYPE: {"resources": {"instance_type": "any"}},
    Capability.SCALE_TO_ZERO: {"min_replicas": 0, "max_replicas": 1},
    Capability.AUTOSCALING: {"min_replicas": 1, "max_replicas": 2},
    Capability.CANARY: {"traffic": {"canary": "10%", "bake": "1m"}},
    Capability.CAPTURE: {"capture": {"sample": "100%"}},
    Capability.TOKEN_AUTH: {"auth": "token"},
    Capability.OPEN_ENDPOINT: {"auth": "none"},
}
_FAULTS: dict[Fault, type[CloudopsError]] = {
    Fault.DENIED: AuthError,
    Fault.EXPIRED: AuthError,
    Fault.NO_CREDENTIALS: AuthError,
    Fault.NO_CAPACITY: NoCapacity,
    Fault.QUOTA: QuotaExceeded,
    Fault.THROTTLED: Throttled,
    Fault.UNAVAILABLE: Unavailable,
}


class ErrorContract(Contract):
    """What is absent, unsupported or out of order is told by type, before anything is created."""

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, rig: Rig) -> Session:
        """A session in which nothing is ever created."""
        session = rig.session(environ={"CONTRACT_SECRET": "x"})
        (session.root / "requirements.txt").write_text("numpy\n", encoding="utf-8")
        return session

    @pytest.fixture(scope="class")
    @classmethod
    def absent(cls, rig: Rig) -> dict[str, Ref]:
        """A handle of each kind of something that never was."""
        session = rig.session()
        return {kind: rig.absent(session, kind) for kind in ("jobs", "models", "endpoints")}

    @pytest.mark.parametrize("verb", _JOB_VERBS)
    def test_an_absent_job_is_not_found(self, rig: Rig, session: Session, absent: dict[str, Ref], verb: str) -> None:
        _verb_is_there(rig, verb)
        with pytest.raises(NotFound) as caught:
            _JOB_VERBS[verb](Job(absent["jobs"], session.attach(str(absent["jobs"])).provider))
        _names(caught.value, absent["jobs"])

    @pytest.mark.parametrize("verb", _ENDPOINT_VERBS)
    def test_an_absent_endpoint_is_not_found(
        self, rig: Rig, session: Session, absent: dict[str, Ref], verb: str
    ) -> None:
        _verb_is_there(rig, verb)
        with pytest.raises(NotFound) as caught:
            _ENDPOINT_VERBS[verb](Endpoint(absent["endpoints"], session.attach(str(absent["endpoints"])).provider))
        _names(caught.value, absent["endpoints"])

    def test_an_absent_model_is_not_found(self, session: Session, absent: dict[str, Ref]) -> None:
        with pytest.raises(NotFound) as caught:
            session.provider.trainer.model(absent["models"])
        _names(caught.value, absent["models"])

    def test_deleting_what_is_absent_is_silent(self, session: Session, absent: dict[str, Ref]) -> None:
        for kind in ("jobs", "endpoints"):
            found = session.attach(str(absent[kind]))
            assert isinstance(found, Job | Endpoint)
            found.delete()

    def test_looking_for_what_is_absent_finds_nothing(self, session: Session) -> None:
        assert session.provider.trainer.find("never-was") is None
        assert session.provider.deployer.find("never-was") is None
        with pytest.raises(NotFound, match="never-was"):
            session.endpoint("never-was")

    def test_every_capability_is_declared_and_every_lack_has_a_reason(self, rig: Rig, session: Session) -> None:
        declared = session.capabilities()
        assert set(declared) == set(Capability)
        assert [str(key) for key, support in declared.items() if not support.ok and not support.reason] == []
        assert {key: rig.support(key) for key in Capability} == dict(declared)

    def test_jobs_that_need_what_is_lacking_are_refused(self, rig: Rig, session: Session) -> None:
        """With the declared reason, before anything is created."""
        for capability, fields in _lacking(rig, _JOBS).items():
            _refused(rig, session, capability, session.train, job("nothing", **fields))

    def test_deployments_that_need_what_is_lacking_are_refused(self, rig: Rig, session: Session) -> None:
        """With the declared reason, before anything is created."""
        for capability, fields in _lacking(rig, _DEPLOYMENTS).items():
            _refused(rig, session, capability, session.deploy, deployment("contract", **fields))

    def test_a_plan_is_refused_as_the_call_would_be(self, rig: Rig) -> None:
        """What is lacking, and what is not there: a plan that shows it would promise too much."""
        root = rig.project()
        lacking = [job("nothing", **fields) for fields in _lacking(rig, _JOBS).values()]
        for spec in [*lacking, job("nothing", inputs={"table": "data/nowhere.csv"})]:
            configure(root, name=rig.project_name(root), train=spec.model_dump(mode="json", exclude_unset=True))
            with pytest.raises((UnsupportedFeature, ConfigError)):
                rig.session(root=root, environ={}).plan("train")

    @pytest.mark.parametrize("capability", [Capability.TRAFFIC_SPLIT, Capability.ROLLBACK])
    def test_a_verb_that_is_not_there_says_so(self, rig: Rig, capability: Capability) -> None:
        _absence(rig, capability)
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project))
        (version,) = endpoint.status().traffic
        call = endpoint.rollback if capability is Capability.ROLLBACK else lambda: endpoint.traffic({version: 100})
        with pytest.raises(UnsupportedFeature):
            call()

    def test_following_a_log_that_cannot_be_followed_says_so(self, rig: Rig) -> None:
        _absence(rig, Capability.LOG_FOLLOW)
        done = rig.train(rig.session(), job("nothing"))
        with pytest.raises(UnsupportedFeature):
            list(done.logs(follow=True))

    def test_a_file_that_is_not_there_is_named(self, session: Session) -> None:
        with pytest.raises(ConfigError, match=r"nowhere\.csv"):
            session.train(job("nothing", inputs={"table": "data/nowhere.csv"}))
        with pytest.raises(ConfigError, match=r"nowhere\.py"):
            session.deploy(deployment("contract").model_copy(update={"predictor": "nowhere.py"}))
        assert session.created() == []

    def test_a_setting_that_is_not_there_is_named(self, rig: Rig) -> None:
        with pytest.raises(ConfigError, match="no_such_setting"):
            rig.session(no_such_setting=1)

    @requires(Capability.SECRETS)
    def test_a_secret_that_is_not_set_is_named(self, session: Session) -> None:
        with pytest.raises(ConfigError, match="CONTRACT_UNSET"):
            session.train(job("nothing", secrets=["CONTRACT_UNSET"]))
        assert session.created() == []

    def test_more_than_there_is_of_it_is_refused(self, rig: Rig) -> None:
        """A machine that nobody has is refused by type, and nothing is left behind."""
        session = rig.session()
        with pytest.raises((NoCapacity, QuotaExceeded, UnsupportedFeature)) as caught:
            session.train(job("nothing", resources={"cpus": 100_000}))
        assert "cpus" in str(caught.value)
        assert session.created() == []

    @pytest.mark.parametrize("fault", _FAULTS)
    def test_a_fault_has_its_type(self, rig: Rig, fault: Fault) -> None:
        running = rig.train(rig.session(), job("nothing"))
        with rig.inject(fault), pytest.raises(_FAULTS[fault]) as caught:
            running.status()
        _names(caught.value, running.ref)
        assert running.status().phase is Phase.SUCCEEDED

    def test_a_state_that_nobody_knows_is_neither_an_end_nor_a_success(self, rig: Rig) -> None:
        running = rig.session().train(job("sleep", "60"))
        rig.printed(running, "asleep")
        with rig.inject(Fault.UNKNOWN_STATE, running.ref):
            status = running.status()
        assert status.phase is Phase.UNKNOWN
        assert not status.phase.final
        assert status.native
        running.cancel()

    def test_an_endpoint_in_a_state_that_nobody_knows_is_neither_ready_nor_failed(self, rig: Rig) -> None:
        session = rig.session()
        endpoint = rig.deploy(session, deployment(session.project))
        with rig.inject(Fault.UNKNOWN_STATE, endpoint.ref):
            status = endpoint.status()
        assert status.phase is Phase.UNKNOWN
        assert status.native
        assert endpoint.status().phase is Phase.READY

    @pytest.mark.parametrize("fault", [Fault.DROPPED_BEFORE, Fault.DROPPED_AFTER])
    def test_a_connection_that_ends_during_a_submission_makes_one_job(self, rig: Rig, fault: Fault) -> None:
        session = rig.session()
        with rig.inject(fault):
            started = session.train(job("nothing"))
        assert session.train(job("nothing")) == started
        assert [item.ref for item in session.jobs()] == [started.ref]


def _names(error: CloudopsError, ref: Ref) -> None:
    """Whether an error says which provider, and what it is about."""
    assert error.provider == ref.provider
    assert error.ref == str(ref)
    assert ref.id in error.message


def _lacking(rig: Rig, specs: dict[Capability, dict[str, Any]]) -> dict[Capability, dict[str, Any]]:
    """Those of ``specs`` whose capability the provider lacks."""
    found = {capability: fields for capability, fields in specs.items() if not rig.support(capability).ok}
    if not found:
        pytest.skip(f"{rig.name} lacks none of {', '.join(specs)}")
    return found


def _verb_is_there(rig: Rig, verb: str) -> None:
    if verb in _NEEDS:
        rig.need(_NEEDS[verb])


def _absence(rig: Rig, capability: Capability) -> None:
    if rig.support(capability).ok:
        pytest.skip(f"{rig.name} has {capability}")


def _refused(rig: Rig, session: Session, capability: Capability, create: Callable[[Any], object], spec: Any) -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        create(spec)
    assert caught.value.provider == rig.name
    assert rig.support(capability).reason in str(caught.value)
    assert session.created() == []
