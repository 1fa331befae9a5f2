"""Handles: a URI and the provider that understands it, nothing else. All state is the provider's."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, DeploymentFailed, JobFailed, ProviderError, WaitTimeout
from .instances import request_body
from .provider import ProviderContext
from .refs import Phase, Ref
from .registry import create_provider, provider_info

if TYPE_CHECKING:
    from .provider import Answer, ModelInfo, Provider
    from .refs import LogLine, MetricPoint, Status

Sleep = Callable[[float], None]
OnChange = Callable[["Status"], None]

#: How many lines of its log a failed job's error carries.
_TAIL = 20


class Handle:
    """What every handle has."""

    def __init__(self, ref: Ref, provider: Provider) -> None:
        self.ref = ref
        self.provider = provider

    @property
    def uri(self) -> str:
        """The handle as text; ``cloudops.attach`` makes a handle of it anywhere."""
        return str(self.ref)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.uri}>"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.ref == other.ref

    def __hash__(self) -> int:
        return hash((type(self), self.ref))


class Job(Handle):
    """A job: a prepare, train or evaluate step."""

    def status(self) -> Status:
        """Where it stands now. Raises NotFound when there is no such job."""
        return self.provider.trainer.status(self.ref)

    def wait(
        self,
        timeout: float | None = None,
        *,
        poll: float = 0.5,
        on_change: OnChange | None = None,
        sleep: Sleep = time.sleep,
    ) -> Status:
        """Wait until the job has succeeded.

        Args:
            timeout: seconds; None waits as long as it takes.
            poll: seconds between two looks.
            on_change: called with each status that differs from the one before.
            sleep: for tests.

        Raises:
            JobFailed: it failed or was cancelled; carries the last lines of its log.
            WaitTimeout: the timeout passed first; the job goes on.
        """
        status = _wait(self.status, lambda s: s.phase.final, self.uri, timeout, poll, on_change, sleep)
        if status.phase is not Phase.SUCCEEDED:
            raise self.failure(status)
        return status

    def failure(self, status: Status) -> JobFailed:
        """The error for a job that ended with ``status``."""
        tail = [line.text for line in self.logs(tail=_TAIL)]
        reason = f": {status.reason}" if status.reason else ""
        return JobFailed(
            f"the job {self.ref.id} {'was cancelled' if status.phase is Phase.CANCELLED else 'failed'}{reason}",
            status=status,
            log_tail=tail,
            provider=self.ref.provider,
            ref=self.ref,
            hint=f"its whole log: cloudops logs {self.uri}",
        )

    def logs(self, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """What it printed; with ``follow`` until it has ended, with ``tail`` only the last lines so far."""
        return self.provider.trainer.logs(self.ref, follow=follow, tail=tail)

    def metrics(self) -> list[MetricPoint]:
        """What it logged, in order."""
        return self.provider.trainer.metrics(self.ref)

    def usage(self) -> list[MetricPoint]:
        """What it used of its machines on average: ``cpu`` (cores), ``memory`` (bytes); none where unmeasured."""
        return self.provider.trainer.usage(self.ref)

    def final_metrics(self) -> dict[str, float]:
        """The last value of each metric."""
        return {point.name: point.value for point in self.metrics()}

    def outputs(self) -> Mapping[str, str]:
        """Output name to path or URI."""
        return self.provider.trainer.outputs(self.ref)

    def cancel(self) -> None:
        """Stop it; silent when it has ended."""
        self.provider.trainer.cancel(self.ref)

    def model(self) -> ModelVersion:
        """The model version that it made. Raises NotFound when it made none, or has not yet."""
        info = self.provider.trainer.model(self.ref)
        return ModelVersion(info.ref or self.ref, self.provider)

    def delete(self) -> None:
        """Stop it and delete what it left, its model included; silent when it is gone."""
        self.provider.trainer.delete(self.ref)


class ModelVersion(Handle):
    """A model version: the files that a training job left, traceable to its code and data."""

    def info(self) -> ModelInfo:
        """Where its files are, its lineage and its metrics."""
        return self.provider.trainer.model(self.ref)


class Endpoint(Handle):
    """An endpoint: one stable URL, one or more versions of a model behind it.

    Args:
        ref: the handle.
        provider: that understands it.
        version: the version that a deployment has just asked for; :meth:`wait` is not content with another one.
    """

    def __init__(self, ref: Ref, provider: Provider, version: str = "") -> None:
        super().__init__(ref, provider)
        self._version = version

    def status(self) -> Status:
        """Where it stands now. Raises NotFound when there is no such endpoint."""
        return self.provider.deployer.status(self.ref)

    def wait(
        self,
        timeout: float | None = None,
        *,
        poll: float = 0.2,
        on_change: OnChange | None = None,
        sleep: Sleep = time.sleep,
    ) -> Status:
        """Wait until the last deployment serves.

        Raises:
            DeploymentFailed: it did not become ready, was rolled back, or another deployment took its place; the
                message has the reason.
            WaitTimeout: the timeout passed first; the deployment goes on.
        """

        def settled(status: Status) -> bool:
            return status.phase is Phase.READY or status.phase is Phase.FAILED or status.phase.final

        status = _wait(self.status, settled, self.uri, timeout, poll, on_change, sleep)
        superseded = bool(self._version) and bool(status.traffic) and self._version not in status.traffic
        if status.phase is not Phase.READY or status.refused or superseded:
            raise self._failure(status)
        self._version = ""  # it has been seen to serve; what comes after it is another deployment's business
        return status

    def _failure(self, status: Status) -> DeploymentFailed:
        what = f"the endpoint {self.ref.id} is {status.phase}"
        if status.refused:
            what = f"the version {status.refused} of {self.ref.id} does not serve, the one before goes on"
        elif status.phase is Phase.READY:
            live = ", ".join(status.traffic)
            what = f"the version {self._version} of {self.ref.id} was superseded: another deployment brought {live}"
        return DeploymentFailed(
            f"{what}{f': {status.reason}' if status.reason else ''}",
            provider=self.ref.provider,
            operation="deploy",
            ref=self.ref,
            hint=f"its log: cloudops logs {self.uri}",
        )

    @property
    def url(self) -> str | None:
        """Where it answers; None until that is known."""
        return self.status().url

    def predict(self, rows: Any, *, version: str | None = None) -> list[Any]:
        """One prediction for each row.

        Args:
            rows: a list of rows, each an object of column to value, a list, or a single value; or a frame of pandas
                or polars, or a NumPy array. What JSON lacks is sent as in :func:`cloudops.instances.request_body`.
            version: ask this version rather than the traffic split.

        Raises:
            ConfigError: these are no rows.
            InvalidRequest: the model refuses the rows, with its reason.
        """
        answer = self.predict_raw(request_body(rows), version=version)
        value = json.loads(answer.body)
        predictions = value.get("predictions") if isinstance(value, dict) else value
        if not isinstance(predictions, list):
            raise ProviderError(f"{self.ref.id} answered without a list of predictions", ref=self.ref)
        return predictions

    def predict_raw(self, body: bytes, *, content_type: str = "application/json", version: str | None = None) -> Answer:
        """Send ``body`` as it is and give back what came, whatever its type. Raises as :meth:`predict`."""
        if version is not None and not (version.isascii() and version.isprintable()):
            raise ConfigError(f"there is no version {version!r}", hint="status names those that there are")
        return self.provider.deployer.predict(self.ref, body, content_type=content_type, version=version)

    def traffic(self, shares: Mapping[str, float]) -> None:
        """Split traffic by version, in percent, 100 in all.

        Raises:
            ConfigError: they are no such percentages.
            NotFound: there is no such version.
        """
        total = sum(shares.values())
        if not all(0 <= share <= 100 for share in shares.values()) or abs(total - 100) > 1e-4:  # NaN fails both
            given = ", ".join(f"{version}={share:g}" for version, share in shares.items()) or "nothing"
            raise ConfigError(f"expected percentages that add up to 100, got {given} ({total:g} in all)")
        self._version = ""  # from now on another one may be wanted
        self.provider.deployer.set_traffic(self.ref, shares)

    def rollback(self) -> None:
        """Give all traffic back to the version before. Raises Conflict when there is none."""
        self._version = ""
        self.provider.deployer.rollback(self.ref)

    def logs(self, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """What its replicas printed."""
        return self.provider.deployer.logs(self.ref, follow=follow, tail=tail)

    def metrics(self, *, since: float | None = None, until: float | None = None) -> list[MetricPoint]:
        """Requests, errors and latency per version between two epoch seconds, by default the last hour."""
        end = time.time() if until is None else until
        return self.provider.monitor.metrics(self.ref, since=end - 3600 if since is None else since, until=end)

    def delete(self) -> None:
        """Delete it and everything made for it; silent when it is gone."""
        self.provider.deployer.delete(self.ref)


def handle(ref: Ref, provider: Provider) -> Job | ModelVersion | Endpoint:
    """The handle of the right kind for ``ref``."""
    kinds: dict[str, type[Job | ModelVersion | Endpoint]] = {
        "jobs": Job,
        "models": ModelVersion,
        "endpoints": Endpoint,
    }
    return kinds[ref.kind](ref, provider)


def attach(uri: str, *, root: str | os.PathLike[str] | None = None) -> Job | ModelVersion | Endpoint:
    """The handle that ``uri`` names, from anywhere; asks nobody whether it exists.

    Raises:
        ConfigError: it is not a cloudops URI.
        PluginError: its provider is not installed.
    """
    try:
        ref = Ref.parse(str(uri))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    context = ProviderContext(root=Path(root or ".").resolve(), scope=ref.scope)
    return handle(ref, create_provider(provider_info(ref.provider), context))


def _wait(
    look: Callable[[], Status],
    done: Callable[[Status], bool],
    uri: str,
    timeout: float | None,
    poll: float,
    on_change: OnChange | None,
    sleep: Sleep,
) -> Status:
    deadline = None if timeout is None else time.monotonic() + timeout
    last: tuple[Phase, str] | None = None
    while True:
        status = look()
        if on_change is not None and (status.phase, status.reason) != last:
            on_change(status)
        last = (status.phase, status.reason)
        if done(status):
            return status
        if deadline is not None and time.monotonic() >= deadline:
            raise WaitTimeout(f"{uri} is still {status.phase} after {timeout:g} s", ref=uri, hint="it goes on")
        sleep(poll)
