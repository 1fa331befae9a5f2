"""What exists around SageMaker, in moto's services: what somebody has made, and may have forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudops.offline.emulator import Resource

from . import alarms
from .region import ACCOUNT
from .site import ROLE

if TYPE_CHECKING:
    from .site import Site


def around(site: Site) -> list[Resource]:
    """Buckets, roles, secrets, alarms, scaling, log groups of all regions; moto tells their age in real time."""
    from moto.applicationautoscaling.models import applicationautoscaling_backends
    from moto.cloudwatch.models import cloudwatch_backends
    from moto.iam.models import iam_backends
    from moto.logs.models import logs_backends
    from moto.s3.models import s3_backends
    from moto.secretsmanager.models import secretsmanager_backends

    services = (
        (s3_backends, _buckets),
        (iam_backends, _roles),
        (secretsmanager_backends, _secrets),
        (cloudwatch_backends, _alarms),
        (applicationautoscaling_backends, _scaling),
        (logs_backends, _groups),
    )
    clock = site.surroundings.clock
    for backend in _made(cloudwatch_backends):
        alarms.board_of(backend).catch_up(clock.now())
    found: list[Resource] = []
    for backends, look in services:
        for backend in _made(backends):
            found += [
                Resource(kind, name, state, None if created is None else created + clock.ahead, place)
                for kind, name, state, created, place in look(backend)
            ]
    return found


#: Kind, name, state, creation by this machine's clock, region.
_Found = Iterator[tuple[str, str, str, float | None, str]]


def _made(backends: Any) -> list[Any]:
    """The backends that somebody has used, in every account and region; looking makes none."""
    return [backend for of_account in list(backends.values()) for backend in list(of_account.values())]


def _buckets(backend: Any) -> _Found:
    for one in list(backend.buckets.values()):
        yield "bucket", one.name, "", _seconds(one.creation_date), one.region_name


def _roles(backend: Any) -> _Found:
    for one in list(backend.roles.values()):
        if (backend.account_id, one.name) != (ACCOUNT, ROLE):
            yield "role", one.name, "", _seconds(one.create_date), ""


def _secrets(backend: Any) -> _Found:
    for one in list(backend.secrets.values()):
        # A secret's replicas in other regions tell no time of their own.
        created, deleted = getattr(one, "created_date", None), getattr(one, "deleted_date", None)
        yield "secret", one.name, "scheduled for deletion" if deleted else "", _seconds(created), backend.region_name


def _alarms(backend: Any) -> _Found:
    for one in list(backend.alarms.values()):
        yield "alarm", one.name, one.state_value, _seconds(one.configuration_updated_timestamp), backend.region_name


def _scaling(backend: Any) -> _Found:
    for of_dimension in list(backend.targets.values()):
        for one in list(of_dimension.values()):
            bounds = f"{one.min_capacity} to {one.max_capacity}"
            yield "scalable-target", one.resource_id, bounds, one.creation_time, backend.region_name
    for one in list(backend.policies.values()):
        yield "scaling-policy", f"{one.resource_id}/{one.policy_name}", "", one.creation_time, backend.region_name


def _groups(backend: Any) -> _Found:
    for name, one in list(backend.groups.items()):
        yield "log-group", name, "", _seconds(one.creation_time), backend.region_name


def _seconds(moment: Any) -> float | None:
    """Seconds since the epoch of a time as moto keeps it; some have no zone, and are UTC."""
    if moment is None:
        return None
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return aware.timestamp()
    return float(moment)
