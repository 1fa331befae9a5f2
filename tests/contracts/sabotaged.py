"""Contracts on the local provider, sabotaged in one place at a time; run by ``test_notice.py``, not by itself.

Each class replaces methods of one role; the tests named in ``noticed_by`` must fail then.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from cloudops.errors import InvalidRequest, NotFound, ProviderError
from cloudops.provider import Provider
from cloudops.refs import LogLine, Phase
from cloudops.session import Session
from cloudops.testing import DeployContract, ErrorContract, LifecycleContract, MonitorContract, Rig, TrainContract
from cloudops.testing.contract import Standin

from .local_rig import LocalRig


@pytest.fixture(scope="class")
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("sabotaged")
    with LocalRig(folder) as clean_up:
        rig = SabotagedRig(folder, request.cls)
        rig.plain = clean_up
        yield rig


def _told(role: Any, change: Callable[[Any], Any]) -> dict[str, Any]:
    """A status that is another one."""
    return {"status": lambda ref: change(role.status(ref))}


def _as(status: Any, phase: Phase) -> Any:
    return dataclasses.replace(status, phase=phase)


class SabotagedRig(LocalRig):
    """The local rig with some methods replaced; what its sessions create is deleted by the plain one."""

    timeout = 3.0
    plain: LocalRig

    def __init__(self, folder: Any, sabotage: Any) -> None:
        super().__init__(folder)
        self.sabotage = sabotage

    def session(self, **options: Any) -> Session:
        opened = self.plain.session(**options)
        role = getattr(opened.provider, self.sabotage.role)
        replaced = Standin(role, **self.sabotage.replace(role))
        provider = cast("Provider", Standin(opened.provider, **{self.sabotage.role: replaced}))
        place = {"provider": self.name, "settings": {}}
        return Session(
            provider,
            project=opened.project,
            root=opened.root,
            place=place,
            config=opened.config,
            environ=options.get("environ"),
        )

    def project_name(self, root: Any) -> str:
        return self.plain.project_name(root)


class TestNothing(LifecycleContract):
    """The control: nothing is replaced, so nothing fails."""

    role = "trainer"
    noticed_by = ()
    passes = ("test_the_same_call_twice_is_one_job", "test_a_plan_creates_nothing_and_shows_the_native_request")

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {}


class TestEverySubmitIsANewJob(LifecycleContract):
    role = "trainer"
    noticed_by = (
        "test_the_same_call_twice_is_one_job",
        "test_killed_between_create_and_journal",
        "test_an_answer_that_is_lost_does_not_double_the_job",
    )

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        numbers = itertools.count()

        def submit(request: Any) -> Any:
            return role.submit(dataclasses.replace(request, name=f"{request.name}-{id(numbers)}-{next(numbers)}"))

        return {"submit": submit}


class TestPlanningCreates(LifecycleContract):
    role = "trainer"
    noticed_by = ("test_a_plan_creates_nothing_and_shows_the_native_request",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {"plan": lambda request: (role.submit(request), role.plan(request))[1]}


class TestPlansShowSecrets(LifecycleContract):
    role = "trainer"
    noticed_by = ("test_a_plan_masks_secrets",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {"plan": lambda request: dataclasses.replace(role.plan(request), native={"env": dict(request.secrets)})}


class TestJobsOfAllProjectsAreListed(LifecycleContract):
    role = "trainer"
    noticed_by = ("test_down_deletes_what_the_project_created_and_nothing_else",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {"jobs": lambda project=None: role.jobs(None)}


class TestDeletingDoesNothing(LifecycleContract):
    role = "trainer"
    noticed_by = ("test_a_deleted_job_is_gone_with_its_model",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {"delete": lambda ref: None}


class TestCancellingDoesNothing(TrainContract):
    role = "trainer"
    noticed_by = ("test_cancel_before_it_runs",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {"cancel": lambda ref: None}


class TestCancellingIsOnlySaid(TrainContract):
    """The job goes on: only its status is another one."""

    role = "trainer"
    noticed_by = ("test_a_cancelled_job_does_nothing_more",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        cancelled: set[Any] = set()

        def status(ref: Any) -> Any:
            found = role.status(ref)
            return dataclasses.replace(found, phase=Phase.CANCELLED) if ref in cancelled else found

        return {"cancel": cancelled.add, "status": status}


class TestTimeoutsComeLate(TrainContract):
    role = "trainer"
    noticed_by = ("test_a_timeout_ends_the_job",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return _told(role, lambda found: dataclasses.replace(found, ended=found.ended and found.ended + 8))


class TestEveryEndIsASuccess(TrainContract):
    role = "trainer"
    noticed_by = ("test_failing_code_tells_why", "test_exit_codes_are_kept")

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return _told(role, lambda found: _as(found, Phase.SUCCEEDED) if found.phase.final else found)


class TestLogsShowSecretsAndLoseLines(TrainContract):
    role = "trainer"
    noticed_by = ("test_secrets_are_never_shown", "test_a_log_is_complete_and_in_order")

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        def logs(ref: Any, **options: Any) -> Any:
            yield from list(role.logs(ref, **options))[:-1]
            yield LogLine(0, 'open sesame, it\'s "$HOME" é')

        return {"logs": logs}


class TestFollowingWaitsForTheEnd(TrainContract):
    role = "trainer"
    noticed_by = ("test_following_shows_lines_while_the_job_runs",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {"logs": lambda ref, **options: iter(list(role.logs(ref, **options)))}


class TestStepsOfMetricsAreLost(TrainContract):
    role = "trainer"
    noticed_by = ("test_metrics_come_in_order_with_their_steps",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {"metrics": lambda ref: [dataclasses.replace(point, step=None) for point in role.metrics(ref)]}


class TestParametersBecomeText(TrainContract):
    role = "trainer"
    noticed_by = ("test_parameters_reach_the_command_line_as_they_are", "test_parameters_keep_their_types")

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        def submit(request: Any) -> Any:
            params = {name: str(value) for name, value in request.spec.params.items()}
            return role.submit(dataclasses.replace(request, spec=request.spec.model_copy(update={"params": params})))

        return {"submit": submit}


class TestCheckpointsAreNotShared(TrainContract):
    role = "trainer"
    noticed_by = ("test_a_repeated_call_goes_on_from_the_checkpoint_and_a_new_one_does_not",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {"submit": lambda request: role.submit(dataclasses.replace(request, checkpoint=request.name))}


class TestRefusalsAreFailures(DeployContract):
    role = "deployer"
    noticed_by = ("test_the_models_own_reason_is_told", "test_bad_requests_are_refused_with_a_reason[no rows]")

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        def predict(*arguments: Any, **options: Any) -> Any:
            try:
                return role.predict(*arguments, **options)
            except InvalidRequest as error:
                raise ProviderError("it failed") from error

        return {"predict": predict}


class TestAnUpdateBeginsWithADeletion(DeployContract):
    role = "deployer"
    noticed_by = ("test_an_update_fails_no_request",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        def deploy(request: Any) -> Any:
            if (found := role.find(request.endpoint)) is not None:
                role.delete(found)
            return role.deploy(request)

        return {"deploy": deploy}


class TestVersionsCannotBeAskedFor(DeployContract):
    role = "deployer"
    noticed_by = ("test_a_version_can_be_asked_for",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return {"predict": lambda ref, body, content_type, version: role.predict(ref, body, content_type=content_type)}


class TestACanaryGetsEverythingAtOnce(DeployContract):
    role = "deployer"
    noticed_by = ("test_a_canary_gets_its_share_and_then_all",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        def deploy(request: Any) -> Any:
            traffic = type(request.spec.traffic)()
            spec = request.spec.model_copy(update={"traffic": traffic})
            return role.deploy(dataclasses.replace(request, spec=spec))

        return {"deploy": deploy}


class TestOneReplicaIsEnough(DeployContract):
    role = "deployer"
    noticed_by = ("test_there_are_as_many_replicas_as_asked_for",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        def deploy(request: Any) -> Any:
            spec = request.spec.model_copy(update={"min_replicas": 1})
            return role.deploy(dataclasses.replace(request, spec=spec))

        return {"deploy": deploy}


class TestLatencyIsInMilliseconds(DeployContract):
    role = "monitor"
    noticed_by = ("test_requests_errors_and_latency_are_counted_in_common_units",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        def metrics(ref: Any, **window: Any) -> Any:
            points = role.metrics(ref, **window)
            return [dataclasses.replace(p, value=p.value * (1000 if "latency" in p.name else 1)) for p in points]

        return {"metrics": metrics}


class TestEveryRequestIsKept(MonitorContract):
    role = "deployer"
    noticed_by = ("test_only_a_sample_is_kept",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        def deploy(request: Any) -> Any:
            capture = type(request.spec.capture)()
            spec = request.spec.model_copy(update={"capture": capture})
            return role.deploy(dataclasses.replace(request, spec=spec))

        return {"deploy": deploy}


class TestAnUnknownStateIsASuccess(ErrorContract):
    role = "trainer"
    noticed_by = ("test_a_state_that_nobody_knows_is_neither_an_end_nor_a_success",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        return _told(role, lambda found: _as(found, Phase.SUCCEEDED) if found.phase is Phase.UNKNOWN else found)


class TestNothingIsEverMissing(LifecycleContract):
    role = "trainer"
    noticed_by = ("test_a_deleted_job_is_gone_with_its_model",)

    @staticmethod
    def replace(role: Any) -> dict[str, Any]:
        def model(ref: Any) -> Any:
            try:
                return role.model(ref)
            except NotFound:
                return None

        return {"model": model}
