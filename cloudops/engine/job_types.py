"""What a job is, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from .process import ProcessId

Phase = Literal["pending", "preparing", "running", "stopping", "succeeded", "failed", "cancelled"]

FINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})

#: In the environment of every process of a job: what finds those that left their group.
MARKER = "CLOUDOPS_JOB_ID"


@dataclass(frozen=True)
class JobSpec:
    """What to run. It is written to the job's folder as it is, so it holds no secrets.

    Args:
        argv: the command that every rank runs.
        cwd: the working directory of all ranks, made when it is missing. The ranks share it.
        env: the whole environment of a rank except secrets and what the engine adds: ``CLOUDOPS_RANK``,
            ``CLOUDOPS_WORLD_SIZE``, ``CLOUDOPS_MASTER_ADDR``, ``CLOUDOPS_MASTER_PORT``, ``CLOUDOPS_ATTEMPT``,
            ``CLOUDOPS_JOB_ID``, ``CUDA_VISIBLE_DEVICES``, and where it is not given ``PYTHONUNBUFFERED=1``.
        ranks: processes, one for each emulated node.
        cpus: at most so many cores for each rank (rounded up): its CPU affinity and the thread counts of the
            usual libraries. None: no limit.
        memory: at most so many bytes for each rank with all its children; shared pages are counted once. A rank
            that exceeds it is killed, which counts as a failure that may be retried. None: no limit.
        timeout: seconds that one attempt may run; setting up does not count. Final: it is not retried.
        retries: further attempts after one that failed. The working directory is kept between attempts as it is.
        fresh: folders that are emptied before each further attempt, so that what a failed one left in them is not
            taken for the result of the one that succeeded.
        grace: seconds between SIGTERM and SIGKILL when a job is stopped.
        setup: commands that run once in ``cwd`` before the first attempt; their output goes to the log of rank 0.
        archive: a tar file that is unpacked into ``cwd`` before that.
        gpus: ids for CUDA_VISIBLE_DEVICES, shared out evenly over the ranks where their number allows it, else
            given to each. Empty: no GPU is visible.
        labels: the caller's own; kept, not used.
    """

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)
    ranks: int = 1
    cpus: float | None = None
    memory: int | None = None
    timeout: float | None = None
    retries: int = 0
    fresh: tuple[str, ...] = ()
    grace: float = 10.0
    setup: tuple[tuple[str, ...], ...] = ()
    archive: str | None = None
    gpus: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.argv:
            raise ValueError("argv is empty; give the command to run")
        if self.ranks < 1:
            raise ValueError(f"ranks {self.ranks}; expected 1 or more")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JobSpec:
        """The spec that :func:`dataclasses.asdict` and JSON wrote."""
        plain = _known(cls, value)
        plain["argv"] = tuple(plain["argv"])
        plain["fresh"] = tuple(plain.get("fresh", ()))
        plain["setup"] = tuple(tuple(command) for command in plain.get("setup", ()))
        plain["gpus"] = tuple(plain.get("gpus", ()))
        return cls(**plain)


@dataclass(frozen=True)
class JobState:
    """Where a job stands.

    Args:
        phase: ``pending`` until the supervisor begins, ``preparing`` while the archive is unpacked and ``setup``
            runs, ``stopping`` between the first SIGTERM and the end.
        reason: one line: why it failed or is stopping; empty where there is nothing to say.
        exit_code: of the last attempt as a shell tells it (128 + n for signal n): that of the rank that failed, 0
            when all were well, None when nothing ran or ended by itself.
        attempt: 1 for the first; counts retries and restarts after interruptions.
        created: epoch seconds; the same for ``started`` (of the first attempt) and ``ended``.
        id: the value of ``CLOUDOPS_JOB_ID``.
        supervisor: the process that runs the job.
        ranks: the ranks' processes while they run.
        warning: what went wrong beside the job itself, such as log lines lost to a full disk.
    """

    phase: Phase
    reason: str = ""
    exit_code: int | None = None
    attempt: int = 0
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    id: str = ""
    supervisor: ProcessId | None = None
    ranks: tuple[ProcessId, ...] = ()
    warning: str = ""

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self.phase in FINAL

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the ranks, in order, while they run."""
        return tuple(rank.pid for rank in self.ranks)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JobState:
        """The state that :func:`dataclasses.asdict` and JSON wrote; members of a newer cloudops are left aside."""
        plain = _known(cls, value)
        ranks = [ProcessId.from_json(rank) for rank in plain.get("ranks", ())]
        plain["ranks"] = tuple(rank for rank in ranks if rank is not None)
        plain["supervisor"] = ProcessId.from_json(plain.get("supervisor"))
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One value that a job logged: by which rank, when (epoch seconds) and in which attempt."""

    name: str
    value: float
    step: int | None
    rank: int
    time: float
    attempt: int


def _known(cls: type, value: Mapping[str, Any]) -> dict[str, Any]:
    """The members of ``value`` that ``cls`` has."""
    names = {one.name for one in fields(cls)}
    return {key: member for key, member in value.items() if key in names}
