"""How many replicas a version should have, from the requests open on it: pure, the clock is the caller's."""

from __future__ import annotations

import math
from collections import deque

from .service_types import Policy


class Scaler:
    """Counts replicas between ``low`` and ``high`` so that each has about ``policy.target_concurrency`` open requests.

    It grows on the average of the last ``scale_up_after`` seconds, and shrinks to the largest need of the last
    ``scale_down_after`` seconds, so that a pause between two bursts does not end replicas. It never decides on less
    history than that.
    """

    def __init__(self, low: int, high: int, policy: Policy, current: int) -> None:
        self.low, self.high, self.policy = low, high, policy
        self.current = min(max(current, low), high)
        self._samples: deque[tuple[float, int]] = deque()
        self._grown = -math.inf

    def observe(self, now: float, open_requests: int) -> int:
        """The number of replicas to have at second ``now``, at which ``open_requests`` were open."""
        if self.low == self.high:
            return self.current
        self._samples.append((now, open_requests))
        self._forget(now)
        wanted = self._grow(now) or self._shrink(now)
        if wanted:
            self.current = wanted
        return self.current

    def _forget(self, now: float) -> None:
        longest = max(self.policy.scale_up_after, self.policy.scale_down_after)
        while len(self._samples) > 1 and self._samples[1][0] <= now - longest:
            self._samples.popleft()

    def _grow(self, now: float) -> int | None:
        since = max(now - self.policy.scale_up_after, self._grown)
        if self._samples[0][0] > now - self.policy.scale_up_after or now - since < self.policy.scale_up_after:
            return None
        recent = [value for time, value in self._samples if time > since]
        wanted = self._needed(sum(recent) / len(recent))
        if wanted <= self.current:
            return None
        self._grown = now
        return wanted

    def _shrink(self, now: float) -> int | None:
        since = now - self.policy.scale_down_after
        if self._samples[0][0] > since:
            return None
        wanted = self._needed(max(value for time, value in self._samples if time > since))
        return wanted if wanted < self.current else None

    def _needed(self, open_requests: float) -> int:
        wanted = math.ceil(open_requests / self.policy.target_concurrency)
        return min(max(wanted, self.low), self.high)
