"""The times and the period of one value over a whole window, as CloudWatch keeps them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime

_DAY = 86400.0
#: How old the start of a window is, in seconds, up to which so many seconds can be told apart; a period that is no
#: multiple of them gets no data at all: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html
_KEPT = ((15 * _DAY, 60), (63 * _DAY, 300), (math.inf, 3600))


@dataclass(frozen=True, slots=True)
class Window:
    """A window that is one period long.

    Args:
        start: begins it.
        end: ends it.
        period: in seconds.
    """

    start: datetime
    end: datetime
    period: int


def window(since: float, until: float) -> Window:
    """From ``since`` to ``until`` in epoch seconds, widened to what CloudWatch can tell apart."""
    age = time.time() - since
    # A minute more: the start may pass the bound before the question arrives.
    finest = next(finest for oldest, finest in _KEPT if age + 60 <= oldest)
    start = math.floor(since / finest) * finest
    end = max(math.ceil(until / finest) * finest, start + finest)
    return Window(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC), end - start)
