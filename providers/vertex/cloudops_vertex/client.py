"""The seam to Google Cloud: one session for JSON APIs, and one client for jobs, created once when they are needed."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cloudops.errors import ConfigError, ProviderError, Throttled, Unavailable
from cloudops.refs import Ref

from . import sdk
from .errors import Answered, Refused, is_kind, translated
from .options import VertexTarget

Found = TypeVar("Found")
#: Requests at the same time: uploads of many small files are bounded by this.
PARALLEL = 32
#: Where jobs are made when nothing names a location; the SDK's default too.
LOCATION = "us-central1"
#: How often a call is made that may be repeated.
_TRIES = 3


class Jobs(Protocol):
    """What is done with custom jobs; :class:`cloudops_vertex.sdk.JobService` in earnest."""

    def create(self, native: Mapping[str, Any]) -> dict[str, Any]:
        """Create one."""

    def get(self, resource: str) -> dict[str, Any]:
        """One by its resource name."""

    def list(self, wanted: str, *, fields: str = "", size: int = 100) -> Iterator[dict[str, Any]]:
        """Those that match a filter."""

    def cancel(self, resource: str) -> None:
        """Ask one to end."""

    def delete(self, resource: str) -> None:
        """Delete one that has ended."""

    def close(self) -> None:
        """Close connections."""


class Client:
    """A project and a location.

    Args:
        settings: of the target; None when only a URI is known.
        scope: ``<project>/<location>`` of a URI; None when the settings are known.
        root: the project's folder.
    """

    def __init__(self, settings: VertexTarget | None, scope: str | None, root: Path) -> None:
        self.settings = settings or VertexTarget()
        self.root = root
        self.sleep: Callable[[float], None] = time.sleep
        self.now: Callable[[], float] = time.time
        self._scope = scope
        self._lock = threading.RLock()
        self._credentials: tuple[Any, str | None] | None = None
        self._session: Any = None
        self._jobs: Jobs | None = None

    # Who and where

    @property
    def credentials(self) -> Any:
        """Google's object for them."""
        return self._authenticated[0]

    @property
    def _authenticated(self) -> tuple[Any, str | None]:
        with self._lock:
            if self._credentials is None:
                with translated("connect"):
                    self._credentials = sdk.credentials(self.settings)
            return self._credentials

    @cached_property
    def project(self) -> str:
        """Of the URI, else of the settings, else that of the credentials.

        Raises:
            ConfigError: none of them names one.
        """
        if self._scope is not None:
            return self._parts[0]
        found = self.settings.project or self._authenticated[1]
        if not found:
            hint = "set project in the target, or GOOGLE_CLOUD_PROJECT"
            raise ConfigError("no Google Cloud project is named", provider="vertex", hint=hint)
        return found

    @cached_property
    def location(self) -> str:
        """Of the URI, else of the settings, else as the SDK takes it."""
        if self._scope is not None:
            return self._parts[1]
        given = os.environ.get("GOOGLE_CLOUD_REGION") or os.environ.get("CLOUD_ML_REGION")
        return self.settings.location or given or LOCATION

    @property
    def scope(self) -> str:
        """As in URIs: ``<project>/<location>``."""
        return f"{self.project}/{self.location}"

    @property
    def host(self) -> str:
        """Of Vertex AI here."""
        return f"{self.location}-aiplatform.googleapis.com"

    @property
    def parent(self) -> str:
        """Of everything in Vertex AI here."""
        return f"projects/{self.project}/locations/{self.location}"

    def ref(self, kind: str, name: str) -> Ref:
        """The handle of something here."""
        return Ref("vertex", self.scope, kind, name)

    @property
    def bucket(self) -> str:
        """The bucket for artifacts; by default named as the SDK names its own.

        Raises:
            ConfigError: the project's id cannot be in the name of a bucket.
        """
        if self.settings.bucket is not None:
            return self.settings.bucket
        if ":" in self.project:
            text = f"no bucket can be named after the project {self.project}"
            raise ConfigError(text, provider="vertex", hint="set bucket in the target")
        return f"{self.project}-vertex-staging-{self.location}"

    @property
    def _parts(self) -> list[str]:
        parts = (self._scope or "").split("/")
        if len(parts) != 2:
            raise ConfigError(
                f"{self._scope!r} is no place in Vertex AI",
                provider="vertex",
                hint="its URIs are cloudops://vertex/<project>/<location>/<kind>/<name>",
            )
        return parts

    # Calls

    @property
    def jobs(self) -> Jobs:
        """Custom jobs."""
        with self._lock:
            if self._jobs is None:
                self._jobs = sdk.JobService(self.credentials, self.host, self.parent)
            return self._jobs

    @property
    def session(self) -> Any:
        """What signs requests to JSON APIs; safe to use from several threads."""
        with self._lock:
            if self._session is None:
                self._session = sdk.session(self.credentials, PARALLEL)
            return self._session

    def request(
        self, call: str, method: str, url: str, *, repeat: bool = True, fine: tuple[int, ...] = (), **given: Any
    ) -> Any:
        """The answer of a JSON API.

        Args:
            call: what this is in :data:`cloudops_vertex.policy.CALLS`.
            method: of HTTP.
            url: without parameters.
            repeat: whether the call may be made again where it is not known whether it was done; where it was
                refused because there were too many, it is made again in any case.
            fine: statuses that are no errors.
            given: as ``requests`` takes it: ``params``, ``json``, ``data``, ``headers``.

        Raises:
            Refused: the answer is an error.
        """

        def once() -> Any:
            answer = self.session.request(method, url, timeout=sdk.TIMEOUT, **given)
            if answer.ok or answer.status_code in fine:
                return answer
            try:
                body = answer.json()
            except ValueError:
                body = answer.text
            raise Refused(Answered.parse(answer.status_code, body, call))

        return self.repeated(once, *((Throttled, Unavailable) if repeat else (Throttled,)))

    def repeated(self, call: Callable[[], Found], *kinds: type[ProviderError]) -> Found:
        """The result of a call that may be made again; up to three times where it fails in a way that may pass.

        Args:
            call: to make.
            kinds: the ways; by default both that there are.
        """
        for number in range(1, _TRIES):
            try:
                return call()
            except Exception as error:
                if not is_kind(error, *(kinds or (Throttled, Unavailable))):
                    raise
            self.sleep(random.uniform(0.5, 1.0) * 0.2 * 2**number)
        return call()

    def close(self) -> None:
        """Close connections."""
        with self._lock:
            for each in (self._jobs, self._session):
                if each is not None:
                    each.close()
            self._jobs = self._session = None
