"""The offline clouds as a Python object: started, used and ended by a program or a test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from cloudops.errors import CloudopsError

from .client import Client
from .emulator import Environment, Resource
from .environment import applied
from .faults import FaultKind, Rule
from .launch import Launched, launch
from .settings import settings


class OfflineCloud:
    """All the offline clouds, behind one server process that ends with this one.

    ::

        with OfflineCloud() as cloud, cloud.active():
            boto3.client("sagemaker").list_training_jobs()
            cloud.fault("throttling", on="sagemaker:CreateTrainingJob", times=2)
            cloud.advance(300)

    Args:
        data: the folder that keeps the clouds' state; None: in memory.
        port: of the proxy; 0 for a free one.
        speed: seconds of the offline clock in one second of the machine's.
        seed: of the faults that happen with a probability.
        images: pattern of a container image to the Python interpreter that stands for it.
        emulators: ``module:Class`` of emulators that no installed provider brings, or that goes before it.
        index_credentials: whether jobs get the caller's credentials for package indexes.

    Raises:
        ConfigError: a value makes no sense.
    """

    def __init__(
        self,
        *,
        data: str | os.PathLike[str] | None = None,
        port: int = 0,
        speed: float = 1.0,
        seed: int = 0,
        images: Mapping[str, str] | Iterable[str] = (),
        emulators: Sequence[str] = (),
        index_credentials: bool = False,
    ) -> None:
        self._settings = settings(
            data=data,
            port=port,
            speed=speed,
            seed=seed,
            images=images,
            emulators=emulators,
            index_credentials=index_credentials,
        )
        self._launched: Launched | None = None
        self._environment: Environment | None = None

    def start(self) -> Self:
        """Start the server and return once it serves; nothing happens where it runs.

        Raises:
            ConfigError: the settings cannot be met: a port in use, a folder that cannot be written, ...
            MissingDependency: the extra ``offline`` is not installed.
        """
        if self._launched is None:
            self._launched = launch(self._settings)
        return self

    def stop(self) -> None:
        """End the server and all that it runs, and return when it is gone; nothing happens where there is none.

        Raises:
            CloudopsError: the state could not be written to ``data``.
        """
        launched, self._launched, self._environment = self._launched, None, None
        if launched is not None and (lost := launched.end()):
            raise CloudopsError(lost)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the proxy listens."""
        return self._client.record.url

    @property
    def problems(self) -> list[str]:
        """The providers whose clouds could not be loaded, one line each."""
        return [] if self._launched is None else self._launched.problems

    @property
    def environment(self) -> Environment:
        """The variables that lead a process to these clouds, and those that would get in the way."""
        if self._environment is None:
            self._environment = self._client.environment()
        return self._environment

    @contextlib.contextmanager
    def active(self) -> Iterator[Self]:
        """Lead this process to the offline clouds for the block; afterwards its environment is as it was before."""
        before = dict(os.environ)
        wanted = applied(self.environment, before)
        with _no_opener():
            try:
                _become(wanted)
                yield self
            finally:
                _become(before)

    def advance(self, seconds: float) -> float:
        """Move the offline clock on, and return its time in epoch seconds. Raises ConfigError where negative."""
        return float(self._client.post("advance", seconds=seconds)["now"])

    def now(self) -> float:
        """The offline clock's time in epoch seconds."""
        return float(self._client.get("status")["now"])

    def fault(
        self,
        kind: FaultKind | str,
        *,
        on: str = "*",
        resource: str = "*",
        times: int | None = 1,
        skip: int = 0,
        probability: float = 1.0,
        seconds: float | None = None,
    ) -> int:
        """Have something go wrong from now on; returns the number of the rule. See :class:`Rule` for the arguments.

        Raises:
            ConfigError: there is no such fault, or a value makes no sense.
        """
        added = self._client.post(
            "faults",
            kind=str(kind),
            on=on,
            resource=resource,
            times=times,
            skip=skip,
            probability=probability,
            seconds=seconds,
        )
        return int(added["id"])

    def faults(self) -> list[Rule]:
        """The faults that may still happen; ``times`` and ``skip`` are what is left of them."""
        return [Rule(**{**rule, "kind": FaultKind(rule["kind"])}) for rule in self._client.get("faults")]

    def remove_fault(self, number: int) -> bool:
        """Take back one fault; whether it was still there."""
        return bool(self._client.post("faults/remove", id=number)["removed"])

    def clear_faults(self, seed: int | None = None) -> None:
        """Take back all faults and seed their generator anew, with the seed of the start by default."""
        self._client.post("faults/clear", seed=seed)

    def reset(self) -> None:
        """End everything that runs and forget all state: resources, calls, faults and refusals; time goes on."""
        self._client.post("reset")

    def resources(self, cloud: str | None = None) -> list[Resource]:
        """What exists in the cloud of that provider, or in all of them."""
        clouds = self._client.get("status")["clouds"]
        return [Resource(**one) for known in clouds if cloud in (None, known["name"]) for one in known["resources"]]

    def egress(self) -> list[dict[str, Any]]:
        """The hosts that were refused: ``host``, ``port``, ``count``, ``first`` and ``last`` in epoch seconds."""
        return list(self._client.get("egress")["hosts"])

    def calls(self, cloud: str | None = None) -> list[dict[str, Any]]:
        """The requests so far: ``cloud``, ``operation``, ``resource``, ``principal`` and ``status``."""
        return [call for call in self._client.get("calls") if cloud in (None, call["cloud"])]

    @property
    def _client(self) -> Client:
        if self._launched is None:
            raise CloudopsError("the offline cloud does not run", hint="call start(), or use it in a with statement")
        return Client(self._launched.record)


@contextlib.contextmanager
def _no_opener() -> Iterator[None]:
    """Have ``urllib`` look at the environment anew: it goes on with the proxies of its first request."""
    import urllib.request as library

    before = library._opener  # type: ignore[attr-defined]
    library._opener = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        library._opener = before  # type: ignore[attr-defined]


def _become(wanted: Mapping[str, str]) -> None:
    """Make ``wanted`` the environment of this process, touching no variable that is so already."""
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
