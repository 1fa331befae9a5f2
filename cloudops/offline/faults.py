"""What is made to go wrong in the offline clouds, on demand and reproducibly."""

from __future__ import annotations

import enum
import fnmatch
import random
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace


class FaultKind(enum.StrEnum):
    """What can go wrong."""

    # With the connection
    TIMEOUT = "timeout"
    DROPPED_BEFORE = "dropped_before"
    DROPPED_AFTER = "dropped_after"
    # With the answer
    THROTTLING = "throttling"
    SERVER_ERROR = "server_error"
    ACCESS_DENIED = "access_denied"
    EXPIRED_CREDENTIALS = "expired_credentials"
    MISSING_CREDENTIALS = "missing_credentials"
    QUOTA = "quota"
    # With what runs
    NO_CAPACITY = "no_capacity"
    SPOT_INTERRUPTION = "spot_interruption"
    UNHEALTHY = "unhealthy"
    SLOW_START = "slow_start"
    PARTIAL_UPLOAD = "partial_upload"
    UNKNOWN_STATE = "unknown_state"


#: The proxy does these: no answer for ``seconds``; a connection that ends before the emulator has seen the request, or
#: after it has acted on it and before its answer.
CONNECTION = frozenset({FaultKind.TIMEOUT, FaultKind.DROPPED_BEFORE, FaultKind.DROPPED_AFTER})
#: An emulator answers these with the service's own error (:meth:`cloudops.offline.emulator.Emulator.refuse`).
ANSWERS = frozenset(
    {
        FaultKind.THROTTLING,
        FaultKind.SERVER_ERROR,
        FaultKind.ACCESS_DENIED,
        FaultKind.EXPIRED_CREDENTIALS,
        FaultKind.MISSING_CREDENTIALS,
        FaultKind.QUOTA,
    }
)
#: An emulator does these to its jobs and endpoints: no machine is found for one; a spot machine is taken away; health
#: checks fail; a model is ready ``seconds`` later; artifacts are uploaded in part; a state has a name unknown to all.
RUNNING = frozenset(FaultKind) - CONNECTION - ANSWERS
#: Those that take some time.
LASTING = frozenset({FaultKind.TIMEOUT, FaultKind.SLOW_START, FaultKind.NO_CAPACITY})
_LONGEST = 31_557_600  # a year


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault that is to happen.

    Args:
        kind: what.
        on: to which calls or things: a pattern over ``service:Operation`` for calls, over ``service:kind`` for what
            runs (``sagemaker:training-job``, ``sagemaker:endpoint``).
        resource: a pattern over the name of the thing.
        times: how often; None for ever.
        skip: how many matches are let through first.
        probability: of each match, 0 to 1, by a generator that is seeded.
        seconds: how long, where the kind takes some time (:data:`LASTING`), by the offline clock; None for a minute.
        id: given by :meth:`Faults.add`.

    Raises:
        ValueError: a value makes no sense, or has no effect on this kind.
    """

    kind: FaultKind
    on: str = "*"
    resource: str = "*"
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seconds: float | None = None
    id: int = 0

    def __post_init__(self) -> None:
        for name in ("on", "resource"):
            _require(bool(_is(getattr(self, name), str)), name, getattr(self, name), "a pattern; * is everything")
        _require(self.times is None or (_is(self.times, int) and self.times >= 1), "times", self.times, "1, 2, ...")
        _require(_is(self.skip, int) and self.skip >= 0, "skip", self.skip, "0, 1, ...")
        number = _is(self.probability, (int, float))
        _require(number and 0 <= self.probability <= 1, "probability", self.probability, "0 to 1")
        if self.seconds is not None:
            number = _is(self.seconds, (int, float))
            _require(number and 0 <= self.seconds <= _LONGEST, "seconds", self.seconds, f"0 to {_LONGEST}")
            if self.kind not in LASTING:
                raise ValueError(f"{self.kind} has no length; seconds are of: {', '.join(sorted(LASTING))}")

    @property
    def lasts(self) -> float:
        """Its length in seconds of the offline clock."""
        return 60.0 if self.seconds is None else self.seconds


class Faults:
    """The rules that are left, in the order in which they were added.

    Args:
        seed: of the generator behind ``probability``: the same calls in the same order fail in the same way.
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._ids = 0
        self._random = random.Random(seed)
        self.seed = seed

    def add(self, rule: Rule) -> Rule:
        """Have ``rule`` happen from now on; returns it with its id."""
        with self._lock:
            self._ids += 1
            added = replace(rule, id=self._ids)
            self._rules.append(added)
            return added

    def rules(self) -> list[Rule]:
        """Those that may still happen; ``times`` and ``skip`` are what is left of them."""
        with self._lock:
            return list(self._rules)

    def remove(self, id: int) -> bool:
        """Take back one rule; whether it was still there."""
        with self._lock:
            before = len(self._rules)
            self._rules = [rule for rule in self._rules if rule.id != id]
            return len(self._rules) < before

    def clear(self, seed: int | None = None) -> None:
        """Take back all rules and seed the generator anew."""
        with self._lock:
            self._rules.clear()
            self.seed = self.seed if seed is None else seed
            self._random = random.Random(self.seed)

    def take(self, kinds: Collection[FaultKind], on: str, resource: str = "") -> Rule | None:
        """The first rule for this call or thing, used up once; None where nothing is to go wrong."""
        with self._lock:
            for index, rule in enumerate(self._rules):
                if rule.kind not in kinds or not _matches(rule, on, resource):
                    continue
                if rule.skip:
                    self._rules[index] = replace(rule, skip=rule.skip - 1)
                elif rule.probability >= 1 or self._random.random() < rule.probability:
                    self._use(index)
                    return rule
            return None

    def _use(self, index: int) -> None:
        rule = self._rules[index]
        if rule.times is None:
            return
        if rule.times == 1:
            del self._rules[index]
        else:
            self._rules[index] = replace(rule, times=rule.times - 1)


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    """Whether a value that came as JSON is of that kind; an empty text is none."""
    return isinstance(value, kind) and not isinstance(value, bool) and value != ""


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name} {value!r}; expected {expected}")


def _matches(rule: Rule, on: str, resource: str) -> bool:
    return fnmatch.fnmatchcase(on.lower(), rule.on.lower()) and fnmatch.fnmatchcase(resource, rule.resource)
