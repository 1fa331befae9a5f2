"""What observers are told, as frozen values. Secrets are never part of an event's text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .provider import BatchRequest, DeployRequest, JobRequest
    from .refs import Ref, Status


@dataclass(frozen=True, slots=True)
class BeforeSubmit:
    """A job or a deployment is about to be created; raising ``Vetoed`` prevents it."""

    provider: str
    request: JobRequest | BatchRequest | DeployRequest


@dataclass(frozen=True, slots=True)
class AfterSubmit:
    """A job or a deployment was created, or found to be there already (``created`` is then false)."""

    provider: str
    request: JobRequest | BatchRequest | DeployRequest
    ref: Ref
    created: bool


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A status that is being waited for has another phase or reason than at the last look."""

    ref: Ref
    status: Status


@dataclass(frozen=True, slots=True)
class BeforeDelete:
    """Something is about to be deleted; raising ``Vetoed`` prevents it."""

    ref: Ref
