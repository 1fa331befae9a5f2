"""One run of a training job's program on all its hosts: a job of the engine, its logs and its metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudops.engine import job
from cloudops.offline.machines.containers import launch
from cloudops.offline.machines.reaper import kill_job
from cloudops.offline.machines.tails import LogTail

from . import aws, effects
from .containers import ML, Container
from .instances import instance
from .sinks import log_stream, put_metrics
from .usage import Usage
from .warm_pools import CACHE, CACHE_VARIABLE

if TYPE_CHECKING:
    from .region import Region
    from .training_machines import Machines

#: Seconds of the offline clock between SIGTERM and SIGKILL.
GRACE = 120.0
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


@dataclass(frozen=True)
class Exit:
    """How the program ended: the exit code, why it was told to (empty: by itself), and the engine's words."""

    code: int
    cause: str = ""
    reason: str = ""


class Run:
    """A run.

    Args:
        region: where.
        name: of the job.
        params: the request.
        machines: that it runs on, which are prepared.
    """

    def __init__(self, region: Region, name: str, params: Mapping[str, Any], machines: Machines) -> None:
        self._region, self._name, self._params = region, name, params
        self._containers, self._image = machines.containers, machines.image
        self._directory, self._pooled = machines.folder / "job", machines.pooled
        self._tails = [LogTail(self._directory / "logs" / f"rank-{rank}.log") for rank in range(len(self._containers))]
        self._streams: list[Any] = []
        definitions = params["AlgorithmSpecification"].get("MetricDefinitions", [])
        self._patterns = [(one["Name"], re.compile(one["Regex"])) for one in definitions]
        self._latest: dict[str, dict[str, Any]] = {}
        self._state: job.JobState | None = None
        size = instance(params["ResourceConfig"]["InstanceType"])
        assert size is not None  # the request was checked
        self._size = size
        self._usages = [Usage(size.memory) for _ in self._containers]

    def start(self) -> None:
        """Start the program. Raises OSError, RuntimeError."""
        created = int(time.time() * 1000)
        self._streams = [
            log_stream(self._region, LOG_GROUP, f"{self._name}/{one.host}-{created}") for one in self._containers
        ]
        for stream in self._streams:
            stream.deliver([(time.time(), line) for line in self._preface()])
        job.start(self._directory, self._spec(), on_exists="raise")

    def ended(self) -> bool:
        """Whether it has ended and all it said was delivered; delivers what was said meanwhile."""
        self._state = job.read(self._directory)
        final = self._state.final
        for rank, usage, container in zip(self._state.ranks, self._usages, self._containers, strict=False):
            host = {"Host": f"{self._name}/{container.host}"}
            put_metrics(self._region, LOG_GROUP, host, usage.look(rank.pid))
        more = self._deliver()
        return final and not more

    def terminate(self) -> None:
        """Tell the program to end."""
        job.cancel(self._directory)

    def kill(self) -> None:
        """End the program at once."""
        kill_job(self._directory)

    def exit(self, cause: str) -> Exit:
        """How it ended, ``cause`` being why it was told to."""
        assert self._state is not None
        code = self._state.exit_code
        if code is None:
            code = 137 if self._state.phase == "failed" else 143
        ended_well = self._state.phase == "succeeded"
        oom = self._state.reason if "out of memory" in self._state.reason else ""
        return Exit(0 if ended_well else code, "" if ended_well and cause != "stopped" else cause, oom)

    def metrics(self) -> list[dict[str, Any]]:
        """The last value of each metric, as Describe answers it."""
        return list(self._latest.values())

    def _spec(self) -> job.JobSpec:
        return job.JobSpec(
            argv=launch(
                self._directory.parent / "launch.json",
                [one.entry(self._argv(), self._environment(one), isolated=self._isolated) for one in self._containers],
                literal=self._containers[0].literal,
            ),
            cwd=str(self._containers[0].root / "home"),
            ranks=len(self._containers),
            cpus=self._size.cores,
            memory=self._size.memory,
            grace=GRACE / self._region.clock.speed,
        )

    @property
    def _isolated(self) -> bool:
        return bool(self._params.get("EnableNetworkIsolation"))

    def _argv(self) -> list[str]:
        specification = self._params["AlgorithmSpecification"]
        entry = specification.get("ContainerEntrypoint") or ["train"]
        return [*entry, *specification.get("ContainerArguments", [])]

    def _environment(self, container: Container) -> dict[str, str]:
        own = {
            "TRAINING_JOB_NAME": self._name,
            "TRAINING_JOB_ARN": self._region.arn("training-job", self._name),
            "AWS_REGION": self._region.name,
            "AWS_DEFAULT_REGION": self._region.name,
            "CURRENT_HOST": container.host,
            "DMLC_INTERFACE": "lo",
        }
        if self._pooled:
            own[CACHE_VARIABLE] = f"{ML}/{CACHE}"
        if not self._isolated:
            role = aws.assume(self._region, self._params["RoleArn"], f"SageMaker-{self._name}"[:64])
            own |= {
                **self._region.surroundings.network,
                "AWS_ACCESS_KEY_ID": role.key_id,
                "AWS_SECRET_ACCESS_KEY": role.secret,
                "AWS_SESSION_TOKEN": role.token,
            }
        return {**own, **self._params.get("Environment", {})}

    def _preface(self) -> list[str]:
        isolated = len(self._containers) == 1 and self._containers[0].literal
        return [self._image.told(), *effects.lines(effects.of_training(self._params, isolated=isolated))]

    def _deliver(self) -> bool:
        """Deliver what was said; True where there was something."""
        any_more = False
        for tail, stream in zip(self._tails, self._streams, strict=True):
            lines = tail.lines()
            if lines:
                any_more = True
                stream.deliver(lines)
                self._measure(lines)
        return any_more

    def _measure(self, lines: Sequence[tuple[float, str]]) -> None:
        found = []
        for name, pattern in self._patterns:
            for moment, text in lines:
                match = pattern.search(text)
                value = _number(match) if match else None
                if value is not None:
                    found.append((name, value, moment, "None"))
                    self._latest[name] = {"MetricName": name, "Value": value, "Timestamp": moment}
        if found:
            put_metrics(self._region, LOG_GROUP, {"TrainingJobName": self._name}, found)


def _number(match: re.Match[str]) -> float | None:
    """The number that a metric's expression has found: its first group, or all of it."""
    try:
        return float(match[1] if match.re.groups else match[0])
    except (TypeError, ValueError):
        return None
