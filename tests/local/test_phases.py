"""What the engine says of an endpoint, in the common words."""

from __future__ import annotations

from typing import get_args

import pytest
from cloudops_local.mapping import endpoint_status

from cloudops.engine import service_types
from cloudops.engine.service_types import ServiceState
from cloudops.refs import Phase


@pytest.mark.parametrize(
    ("native", "common"),
    [("degraded", Phase.READY), ("recovering", Phase.UPDATING), ("down", Phase.FAILED), ("ready", Phase.READY)],
)
def test_an_endpoint_is_ready_only_where_it_serves(native: service_types.Phase, common: Phase) -> None:
    state = ServiceState(native, "why", "http://127.0.0.1:1", 1, generation=3, observed_generation=3)
    assert endpoint_status(state).phase is common
    assert endpoint_status(state).reason == "why"


@pytest.mark.parametrize("native", get_args(service_types.Phase))
def test_every_phase_of_the_engine_has_a_word(native: service_types.Phase) -> None:
    assert endpoint_status(ServiceState(native, "", "", 1, 1, 1)).phase is not Phase.UNKNOWN
