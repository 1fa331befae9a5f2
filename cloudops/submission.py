"""Creating things once: an intent is written down, the call is repeated where that is safe, observers are told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .errors import ProviderError
from .events import AfterSubmit, BeforeSubmit
from .handles import Endpoint, Job
from .journal import Journal
from .provider import BatchRequest, attempt_name
from .refs import Phase

if TYPE_CHECKING:
    from .observers import Observers
    from .provider import DeployRequest, JobRequest, Provider, Trainer
    from .refs import Ref

Result = TypeVar("Result")

#: Seconds between the repetitions of a call that failed in a way that may pass.
RETRY_DELAYS = (1.0, 2.0, 4.0, 8.0)


class Submission:
    """Creates jobs and endpoints of one project on one provider, each of them once.

    Args:
        provider: where.
        root: the project's folder, which holds the journal.
        observers: who may veto, and who is told.
        sleep: for tests.
    """

    def __init__(
        self, provider: Provider, root: Path, observers: Observers, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.provider = provider
        self.scope = str(root)
        self._journal = Journal(root)
        self._observers = observers
        self._sleep = sleep

    def job(self, request: JobRequest | BatchRequest, *, new: bool) -> Job:
        """The job of ``request``: one that runs or has succeeded, else a new one.

        Args:
            request: named by its intent; a further try gets a name of its own.
            new: start another one in any case, and not from the checkpoints of an earlier one.
        """
        name, found = self._choose(request.name, new)
        if found is not None:
            self._observers.tell("after_submit", AfterSubmit(found.provider, request, found, False))
            return Job(found, self.provider)
        if isinstance(request, BatchRequest):
            return Job(self._create(replace(request, name=name)), self.provider)
        checkpoint = name if new else request.name
        return Job(self._create(replace(request, name=name, checkpoint=checkpoint)), self.provider)

    def find(self, name: str) -> Ref | None:
        """The job that :meth:`job` would use again, or None where it would make one."""
        return self._choose(name, new=False)[1]

    def succeeded(self, name: str) -> Job | None:
        """The newest job of an intent that has succeeded, or None."""
        for _, ref in sorted(self.provider.trainer.attempts(name).items(), reverse=True):
            if self.provider.trainer.status(ref).phase is Phase.SUCCEEDED:
                return Job(ref, self.provider)
        return None

    def deployment(self, request: DeployRequest) -> Endpoint:
        """The endpoint of ``request``, created or updated."""
        name, deployer = self.provider.info.name, self.provider.deployer
        existed = deployer.find(request.endpoint) is not None
        self._observers.tell("before_submit", BeforeSubmit(name, request))
        self._journal.intend(request.endpoint, provider=name, scope=self.scope, step="deploy", intent=request.version)
        ref = self._retrying(lambda: deployer.deploy(request))
        self._journal.created(request.endpoint, provider=name, scope=self.scope, uri=str(ref))
        self._observers.tell("after_submit", AfterSubmit(name, request, ref, not existed))
        return Endpoint(ref, self.provider, request.version)

    def _create(self, request: JobRequest | BatchRequest) -> Ref:
        name = self.provider.info.name
        self._observers.tell("before_submit", BeforeSubmit(name, request))
        intent = request.lineage.intent
        self._journal.intend(request.name, provider=name, scope=self.scope, step=request.step, intent=intent)
        ref = self._retrying(lambda: _submitted(self.provider.trainer, request))
        self._journal.created(request.name, provider=name, scope=self.scope, uri=str(ref))
        self._observers.tell("after_submit", AfterSubmit(name, request, ref, True))
        return ref

    def _choose(self, base: str, new: bool) -> tuple[str, Ref | None]:
        """The name to use, and the job that has it already: the newest that runs or succeeded is used again."""
        tries = self.provider.trainer.attempts(base)
        for number, ref in [] if new else sorted(tries.items(), reverse=True):
            if self.provider.trainer.status(ref).phase not in (Phase.FAILED, Phase.CANCELLED):
                return attempt_name(base, number), ref
        return attempt_name(base, max(tries, default=0) + 1), None

    def _retrying(self, call: Callable[[], Result]) -> Result:
        """Repeat a call that creates: safe, because what it created the first time is found by its name."""
        for delay in RETRY_DELAYS:
            try:
                return call()
            except ProviderError as error:
                if not error.retryable:
                    raise
                self._sleep(delay)
        return call()


def _submitted(trainer: Trainer, request: JobRequest | BatchRequest) -> Ref:
    return trainer.batch(request) if isinstance(request, BatchRequest) else trainer.submit(request)
