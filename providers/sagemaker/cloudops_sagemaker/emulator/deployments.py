"""What happens to an endpoint over time: creation, scaling, deletion; updates are in ``updates.py``.

Each runs in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cloudops.offline.faults import FaultKind
from cloudops.offline.machines.fleets import FleetFailed

from . import hosting, subjects
from .hosted import Hosted, Member, Side
from .operations import ServiceError

if TYPE_CHECKING:
    from cloudops.offline.machines.fleets import Fleet

    from .components import Component

_NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
    "different ML instance type or after some time."
)


class Stopped(Exception):
    """Everything ends: there is nothing to clean up here."""


def begin(hosted: Hosted, work: Callable[[], None]) -> None:
    """Run one of the procedures below in a thread of its own."""

    def run() -> None:
        try:
            work()
        except Stopped:
            pass
        except Exception as error:
            # A mistake of ours must not leave the endpoint in a state that nobody ends.
            hosted.set("Failed", FailureReason=f"the offline cloud failed: {type(error).__name__}: {error}")

    threading.Thread(target=run, name=f"deployment-{hosted.name}", daemon=True).start()


def create(
    hosted: Hosted, config: Mapping[str, Any], variants: Mapping[str, tuple[float, int]] = MappingProxyType({})
) -> None:
    """From ``Creating`` to ``InService`` or ``Failed``; ``variants``: weights and counts over the configuration's."""
    try:
        side = hosted.side(config, 1.0)
        for name, (weight, count) in variants.items():
            side.members[name].weight, side.members[name].count = weight, count
        with hosted.lock:
            hosted.blue = side
        for member in side.members.values():
            start(hosted, member, member.count)
        await_ready(hosted, side)
    except (FleetFailed, ServiceError) as error:
        close(hosted.fleets())
        hosting.collect(hosted)
        hosted.set("Failed", FailureReason=getattr(error, "message", str(error)))
        return
    hosted.remember()
    hosted.set("InService")


def rescale(hosted: Hosted, wanted: Mapping[str, tuple[float | None, int | None]]) -> None:
    """From ``Updating`` to ``InService`` with other weights and counts of instances, by variant."""
    reason: str | None = None
    assert hosted.blue is not None
    for name, (weight, count) in wanted.items():
        member = hosted.blue.members[name]
        before = member.count
        try:
            if count is not None:
                start(hosted, member, count)
                await_ready(hosted, hosted.blue)
        except FleetFailed as error:
            reason = str(error)
            member.count = before
            if member.fleet is not None:
                member.fleet.scale(before)
            continue
        if weight is not None:
            with hosted.lock:
                member.weight = weight
    hosted.remember()
    hosted.set("InService", FailureReason=reason)


def scale_component(hosted: Hosted, component: Component, count: int) -> None:
    """From ``Creating`` or ``Updating`` to ``InService`` or ``Failed``: another number of copies."""
    described = component.record.described
    before, component.count = component.count, count
    reason = ""
    try:
        if count and hosted.region.faults.take([FaultKind.NO_CAPACITY], subjects.COMPONENT, component.name):
            raise FleetFailed(_NO_CAPACITY)
        component.fleet.prepare()
        component.fleet.scale(count)
        if not component.fleet.wait(stop=hosted.stopped):
            raise Stopped
    except FleetFailed as error:
        reason, created = str(error), described["InferenceComponentStatus"] == "Creating"
        component.count = 0 if created else before
        component.fleet.scale(component.count)
    with hosted.region.lock:
        described["LastModifiedTime"] = hosted.region.clock.now()
        described["InferenceComponentStatus"] = "Failed" if reason else "InService"
        component.record.history = [{"specification": component.specification, "count": component.count}]
        described.pop("FailureReason", None)
        if reason:
            described["FailureReason"] = reason


def delete(hosted: Hosted, forget: Callable[[], None]) -> None:
    """From ``Deleting`` to nothing: open requests are answered first."""
    close(hosted.fleets())
    hosting.collect(hosted)
    hosted.ended.set()
    forget()


def start(hosted: Hosted, member: Member, count: int) -> None:
    """Have ``count`` instances of a variant start.

    Raises:
        FleetFailed: there is no capacity, or the model cannot be fetched.
    """
    fleet = member.fleet
    if count > (fleet.ready() if fleet else 0) and hosted.region.faults.take(
        [FaultKind.NO_CAPACITY], subjects.ENDPOINT, hosted.name
    ):
        raise FleetFailed(_NO_CAPACITY)
    member.count = count
    if fleet is not None:
        fleet.prepare()
        fleet.scale(count)


def await_ready(hosted: Hosted, side: Side) -> None:
    """Wait until all instances of a side are ready.

    Raises:
        FleetFailed: one of them does not pass its health checks, in the service's words.
    """
    for name, member in side.members.items():
        if member.fleet is None:
            continue
        try:
            if not member.fleet.wait(stop=hosted.stopped):
                raise Stopped
        except FleetFailed as error:
            raise FleetFailed(
                f"The primary container for production variant {name} did not pass the ping health check. Please check "
                "CloudWatch logs for this endpoint."
            ) from error


def close(fleets: Collection[Fleet]) -> None:
    """End fleets, each after its open requests; returns when they are gone."""
    threads = [threading.Thread(target=fleet.close, daemon=True) for fleet in fleets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
