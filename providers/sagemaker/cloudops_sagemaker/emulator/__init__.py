"""SageMaker on this machine: moto for what surrounds it, and jobs and endpoints that really run.

From the start there is one role that SageMaker may assume, ``arn:aws:iam::123456789012:role/cloudops-sagemaker``; all
else is made by whoever uses it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.offline.emulator import Emulator, Environment, Resource

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from cloudops.offline.emulator import Surroundings
    from cloudops.offline.faults import FaultKind

_REGION = "us-east-1"
#: The modules that register operations.
_OPERATIONS = (
    "tags",
    "training",
    "models",
    "endpoint_configs",
    "endpoints",
    "component_operations",
    "invocations",
    "transforms",
)
_UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_*",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_CA_BUNDLE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "BOTO_CONFIG",
)
_SDK_SETTINGS = """\
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


def load_operations() -> None:
    """Import the modules that register operations."""
    import importlib

    for name in _OPERATIONS:
        importlib.import_module(f"{__name__}.{name}")


class SageMakerEmulator(Emulator):
    """SageMaker, and the services around it.

    Args:
        surroundings: clock, faults, folder, images.
        literal: whether ``/opt/ml`` is that very path inside jobs; None: wherever this machine allows it.
    """

    name = "sagemaker"
    hosts = ("*.amazonaws.com", "*.amazonaws.com.cn", "*.api.aws", "169.254.169.254")

    @classmethod
    def environment(cls, folder: Path) -> Environment:
        """Throw-away credentials, a region where the caller has none, and empty configuration files."""
        from .site import KEY_ID

        folder.mkdir(parents=True, exist_ok=True)
        files = {"aws-config": "", "aws-credentials": "", "sagemaker-sdk.yaml": _SDK_SETTINGS}
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        variables = {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": "offline",
            "AWS_SESSION_TOKEN": "offline",
            "AWS_CONFIG_FILE": str(folder / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws-credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(folder / "sagemaker-sdk.yaml"),
            "SAGEMAKER_VALIDATE_ROLE": "false",
        }
        return Environment(variables, _UNSET, [(("AWS_REGION", "AWS_DEFAULT_REGION"), _REGION)])

    @classmethod
    def subjects(cls, kind: FaultKind, service: str) -> Collection[str] | None:
        """The calls or things that a fault can happen to."""
        from .subjects import subjects

        return subjects(kind, service)

    def __init__(self, surroundings: Surroundings, *, literal: bool | None = None) -> None:
        from cloudops.offline.machines.reaper import Reaper

        from .app import Application
        from .site import Site

        surroundings.folder.mkdir(parents=True, exist_ok=True)
        self._site = Site(surroundings, literal=literal)
        self._application = Application(self._site)
        self._surroundings = surroundings
        if surroundings.keep:
            from .keeping import restore

            restore(self._site, surroundings.folder / "kept")
        self._reaper = Reaper(surroundings.folder, keep=surroundings.keep)

    @property
    def application(self) -> WSGIApplication:
        """Answers requests."""
        return self._application

    def operation(self, environ: WSGIEnvironment) -> tuple[str, str]:
        """``service:Operation`` and the name of the resource that a request is about."""
        from .identify import identify

        call = identify(environ)
        return call.name, call.resource

    def refuse(self, kind: FaultKind, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the service's own error."""
        from .identify import identify
        from .refusals import fault

        return self._application.refuse(fault(kind, identify(environ)), environ, start_response)

    def resources(self) -> list[Resource]:
        """Jobs and endpoints, running ones first, then buckets, roles, secrets, alarms, scaling and log groups."""
        from .status import resources

        return resources(self._site)

    def calls(self) -> list[Mapping[str, Any]]:
        """The requests so far."""
        return self._application.calls()

    def reset(self) -> None:
        """End everything that runs and forget all state."""
        self._site.reset()
        self._application.reset()

    def close(self) -> None:
        """End everything that runs; with ``keep`` write down what the next start needs."""
        self._site.end()
        if self._surroundings.keep:
            from .keeping import keep

            keep(self._site, self._surroundings.folder / "kept")
        self._reaper.dismiss()
