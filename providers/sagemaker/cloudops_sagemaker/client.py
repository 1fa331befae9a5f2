"""The seam to AWS: one session, and one client for each service, created once. The only importer of the SDK."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

from cloudops.errors import ConfigError, MissingDependency, NotFound
from cloudops.refs import Ref

from .errors import translated
from .options import SageMakerTarget

#: The role of jobs and endpoints where the target names none.
ROLE = "cloudops-sagemaker"
#: Requests at the same time: uploads of many small files are bounded by this.
PARALLEL = 32


class Client:
    """An account and a region.

    Args:
        settings: of the target; None when only a URI is known.
        scope: ``<account>/<region>`` of a URI; None when the settings are known.
        root: the project's folder.
    """

    def __init__(self, settings: SageMakerTarget | None, scope: str | None, root: Path) -> None:
        self.settings = settings or SageMakerTarget()
        self.root = root
        self._scope = scope
        self._lock = threading.RLock()
        self._session: Any = None
        self._services: dict[str, Any] = {}

    def service(self, name: str) -> Any:
        """The client of an AWS service, such as ``sagemaker``; safe to use from several threads."""
        with self._lock:
            if name not in self._services:
                from botocore.config import Config

                config = Config(
                    retries={"mode": "standard", "max_attempts": 3},
                    connect_timeout=10,
                    read_timeout=70,  # an answer of a model may take 60 s
                    max_pool_connections=PARALLEL,
                    user_agent_extra="cloudops",
                )
                self._services[name] = self.session.client(name, region_name=self.region, config=config)
            return self._services[name]

    @property
    def sagemaker(self) -> Any:
        """The control plane."""
        return self.service("sagemaker")

    @property
    def s3(self) -> Any:
        """Artifacts."""
        return self.service("s3")

    @property
    def session(self) -> Any:
        """The SDK's session: where credentials come from."""
        with self._lock:
            if self._session is None:
                try:
                    import boto3.session
                except ImportError as error:
                    hint = "pip install 'cloudops-ml[sagemaker]'"
                    text = "the provider sagemaker needs the package boto3"
                    raise MissingDependency(text, provider="sagemaker", hint=hint) from error
                with translated("connect"):
                    self._session = boto3.session.Session(
                        profile_name=self.settings.profile, region_name=self.settings.region
                    )
            return self._session

    @cached_property
    def region(self) -> str:
        """Of the URI, else of the settings, else what the AWS tools would take.

        Raises:
            ConfigError: none of them names one.
        """
        if self._scope is not None:
            return self._parts[1]
        found = self.settings.region or self.session.region_name
        if not found:
            hint = "set region in the target, or AWS_DEFAULT_REGION"
            raise ConfigError("no AWS region is named", provider="sagemaker", hint=hint)
        return str(found)

    @cached_property
    def account(self) -> str:
        """Of the URI, else that of the credentials: twelve digits."""
        return self._parts[0] if self._scope is not None else self.identity["Account"]

    @cached_property
    def identity(self) -> dict[str, str]:
        """Whose credentials these are: ``Account`` and ``Arn``."""
        with translated("connect"):
            return dict(self.service("sts").get_caller_identity())

    @cached_property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return str(self.session.get_partition_for_region(self.region))

    @property
    def scope(self) -> str:
        """As in URIs: ``<account>/<region>``."""
        return f"{self.account}/{self.region}"

    def ref(self, kind: str, name: str) -> Ref:
        """The handle of something here."""
        return Ref("sagemaker", self.scope, kind, name)

    @cached_property
    def role(self) -> str:
        """The ARN of the role that jobs and endpoints run with: that of the target, else the one of a known name.

        Raises:
            ConfigError: the target names none, and there is none of that name.
        """
        given = self.settings.role or ROLE
        if given.startswith("arn:"):
            return given
        try:
            with translated("look up the role", given):
                return str(self.service("iam").get_role(RoleName=given)["Role"]["Arn"])
        except NotFound as error:
            hint = "set role in the target to the name or ARN of a role that trusts sagemaker.amazonaws.com"
            text = f"the account has no role {given!r} for jobs and endpoints"
            raise ConfigError(text, provider="sagemaker", hint=hint) from error

    @property
    def bucket(self) -> str:
        """The bucket for artifacts; by default the one that the SDK of SageMaker takes."""
        return self.settings.bucket or f"sagemaker-{self.region}-{self.account}"

    @property
    def _parts(self) -> list[str]:
        parts = (self._scope or "").split("/")
        if len(parts) != 2:
            raise ConfigError(
                f"{self._scope!r} is no place in SageMaker",
                provider="sagemaker",
                hint="its URIs are cloudops://sagemaker/<account>/<region>/<kind>/<name>",
            )
        return parts

    def close(self) -> None:
        """Close connections."""
        with self._lock:
            for service in self._services.values():
                service.close()
            self._services.clear()
