"""One attempt of a job: its ranks from the first start to the end of the last process that they left.

A single thread watches pipes, children, requests and limits. It has to be one thread, and the main one: the kernel
kills a rank when the *thread* that spawned it ends.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from .job_rank import Command, Rank, Sinks
from .job_wishes import Wishes
from .limits import tree_memory
from .log_writer import LINE_LIMIT
from .process import ProcessId, descendants, signal_all

if TYPE_CHECKING:
    import psutil

_TICK = 0.5
_ENDING_TICK = 0.05
_GATHER = 0.002
_LINGER = 2.0  # seconds that what a finished rank leaves running has after SIGTERM
_GIVE_UP = 30.0  # seconds after SIGKILL; a process that is still there hangs in the kernel
_MEMORY_LOAD = 20  # looking at memory takes at most one part in so many of a core

Kind = Literal["done", "failed", "unstartable", "memory", "timeout", "cancelled", "interrupted", "terminated", "gone"]


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended; ``reason`` and ``exit_code`` as in :class:`~.job_types.JobState`."""

    kind: Kind
    reason: str = ""
    exit_code: int | None = None


@dataclass(frozen=True)
class Rules:
    """What an attempt is held to: ``timeout`` and ``grace`` in seconds, ``memory`` in bytes for each rank.

    ``interruptible``: whether a request to interrupt is meant for it; it is left aside otherwise.
    """

    grace: float
    timeout: float | None = None
    memory: int | None = None
    interruptible: bool = True


@dataclass(frozen=True)
class Hooks:
    """What an attempt tells: its processes once they run, that it is being stopped and why, and each tick.

    ``tick`` is called twice a second and answers whether the job's folder is still there.
    """

    started: Callable[[tuple[ProcessId, ...]], None]
    stopping: Callable[[str], None]
    tick: Callable[[], bool]


class Attempt:
    """Runs ``commands`` side by side, one for each rank.

    It is over when every process in the tree has ended. The first rank that fails ends the others.
    """

    def __init__(self, commands: Sequence[tuple[Command, Sinks]], rules: Rules, wishes: Wishes, hooks: Hooks) -> None:
        self._commands, self._rules, self._wishes, self._hooks = commands, rules, wishes, hooks
        self._ranks: list[Rank] = []
        self._selector = selectors.DefaultSelector()
        self._cause: Outcome | None = None
        self._failed: Rank | None = None
        self._kill_at: float | None = None
        self._deadline = float("inf")
        self._tick_at = 0.0
        self._memory_at = 0.0

    def run(self) -> Outcome:
        """Run to the end and tell how it was."""
        self._selector.register(self._wishes, selectors.EVENT_READ)
        try:
            self._start()
            while not self._over():
                self._copy()
                self._reap()
                self._decide(time.monotonic())
            for rank in self._ranks:
                rank.drain(time.monotonic())
        finally:
            self._selector.close()
        return self._outcome()

    def _start(self) -> None:
        for command, sinks in self._commands:
            try:
                rank = Rank(command, sinks)
            except OSError as error:
                self._stop(Outcome("unstartable", _unstartable(command, error), 127), time.monotonic())
                return
            self._ranks.append(rank)
            self._selector.register(rank, selectors.EVENT_READ, rank)
        if self._rules.timeout is not None:
            self._deadline = time.monotonic() + self._rules.timeout
        self._hooks.started(tuple(rank.id for rank in self._ranks))

    def _copy(self) -> None:
        """Wait until something happens or is due, and take over output."""
        ready = self._selector.select(self._patience(time.monotonic()))
        now = time.monotonic()
        sizes = []
        for key, _ in ready:
            if key.data is None:
                self._wishes.clear()
                continue
            sizes.append(key.data.copy(now))
            if not sizes[-1]:
                self._selector.unregister(key.data)
        if sizes and max(sizes) < LINE_LIMIT:
            # Unbuffered programs write every few bytes: let some gather instead of waking for each.
            time.sleep(_GATHER)

    def _patience(self, now: float) -> float:
        """Seconds until something has to be looked at."""
        if self._kill_at is not None:
            return _ENDING_TICK
        due = [self._tick_at, self._deadline] + ([self._memory_at] if self._rules.memory is not None else [])
        return max(0.0, min(due) - now)

    def _reap(self) -> None:
        """Collect what has ended: ranks, and orphans that became our children."""
        by_pid = {rank.id.pid: rank for rank in self._ranks}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in by_pid:
                by_pid[pid].ended(status)
                if by_pid[pid].exit and self._failed is None:
                    self._failed = by_pid[pid]

    def _decide(self, now: float) -> None:
        if self._kill_at is not None:
            if now >= self._kill_at:
                signal_all(descendants(os.getpid()), signal.SIGKILL)
            return
        if all(rank.exit == 0 for rank in self._ranks):
            self._end(now + min(_LINGER, self._rules.grace))
        elif cause := self._why_stop(now):
            self._stop(cause, now)

    def _why_stop(self, now: float) -> Outcome | None:
        if self._wishes.cancel:
            return Outcome("cancelled", "cancelled")
        if self._wishes.terminated:
            return Outcome("terminated", "the machine ended its supervisor (SIGTERM)")
        if self._failed is not None:
            return Outcome("failed")
        if now >= self._deadline:
            return Outcome("timeout", f"timeout after {self._rules.timeout:g} s")
        if self._wishes.interrupt and self._rules.interruptible:
            self._wishes.interrupt = False
            return Outcome("interrupted", "interrupted")
        return self._tick(now)

    def _tick(self, now: float) -> Outcome | None:
        if now >= self._tick_at:
            self._tick_at = now + _TICK
            for rank in self._ranks:
                rank.idle(now)
            if not self._hooks.tick():
                return Outcome("gone", "its folder was removed")
        return self._excess(now)

    def _excess(self, now: float) -> Outcome | None:
        """Look whether a rank has too much memory: each half second, ten times as often when it comes close."""
        limit = self._rules.memory
        if limit is None or now < self._memory_at:
            return None
        used = {rank: tree_memory(tree, limit) for rank, tree in zip(self._ranks, _trees(self._ranks), strict=True)}
        period = _TICK / 10 if max(used.values()) > limit / 2 else _TICK
        self._memory_at = time.monotonic() + max(period, _MEMORY_LOAD * (time.monotonic() - now))
        for rank, size in used.items():
            if size > limit:
                name = f"{rank.command.name}: " if rank.command.name else ""
                return Outcome("memory", f"{name}out of memory: used {_size(size)} of {_size(limit)}", 137)
        return None

    def _stop(self, cause: Outcome, now: float) -> None:
        """SIGTERM to all that runs; SIGKILL follows when the grace is over, at once where memory is at stake."""
        self._cause = cause
        self._end(now if cause.kind == "memory" else now + self._rules.grace)
        if cause.kind != "gone":
            self._hooks.stopping(cause.reason or self._failure())

    def _end(self, kill_at: float) -> None:
        self._kill_at = kill_at
        for rank in self._ranks:
            rank.signal(signal.SIGTERM)
        # What left the ranks' sessions, or outlived their leaders. What is in one is its leader's to tell (the runtime
        # does): a handler that runs twice interrupts itself.
        sessions = {rank.id.pid for rank in self._ranks if rank.exit is None}
        signal_all([one for one in descendants(os.getpid()) if _session(one) not in sessions], signal.SIGTERM)

    def _over(self) -> bool:
        if self._kill_at is None or any(rank.exit is None for rank in self._ranks):
            return False
        return not descendants(os.getpid()) or time.monotonic() > self._kill_at + _GIVE_UP

    def _outcome(self) -> Outcome:
        if self._cause is None:
            return Outcome("done", exit_code=0)
        if self._cause.kind == "failed" and self._failed is not None:
            return replace(self._cause, reason=self._failure(), exit_code=self._failed.exit)
        return self._cause

    def _failure(self) -> str:
        return self._failed.failure() if self._failed is not None else ""


def _trees(ranks: Sequence[Rank]) -> list[list[psutil.Process]]:
    """For each rank its processes. An orphan counts for the rank that its environment names."""
    import psutil

    trees: list[list[psutil.Process]] = [[] for _ in ranks]
    owners = {rank.id.pid: index for index, rank in enumerate(ranks)}
    for process in descendants(os.getpid()):
        try:
            owner = owners.get(process.pid, owners.get(process.ppid()))
            if owner is None:
                owner = min(int(process.environ().get("CLOUDOPS_RANK", "0")), len(ranks) - 1)
        except (psutil.Error, OSError, ValueError):
            continue
        owners[process.pid] = owner
        trees[owner].append(process)
    return trees


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def _unstartable(command: Command, error: OSError) -> str:
    name = f"{command.name}: " if command.name else ""
    place = f" ({error.filename})" if error.filename else ""
    return f"{name}cannot start {command.argv[0]!r}: {error.strerror}{place}"


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
