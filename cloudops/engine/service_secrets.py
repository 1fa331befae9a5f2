"""The values that must not touch the disk: passed on in environments and over the control socket, never in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

_VARIABLE = "CLOUDOPS_SERVICE_SECRETS"
# Linux takes at most 128 KiB for one variable.
_LIMIT = 100_000


@dataclass
class Secrets:
    """The endpoint's token ("": open to everybody on this machine) and each version's secret variables.

    ``key`` is what the router shows to replicas (see ``service_key.py``); it stays the same for the endpoint's life.
    """

    token: str = ""
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    key: str = ""

    @classmethod
    def pop(cls, environ: MutableMapping[str, str]) -> Secrets:
        """Take them out of an environment, so that no child of this process inherits them by accident."""
        return cls.from_json(json.loads(environ.pop(_VARIABLE, "{}")))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Secrets:
        """What :meth:`to_json` gave."""
        versions = {name: dict(own) for name, own in value.get("versions", {}).items()}
        return cls(value.get("token") or "", versions, value.get("key") or "")

    def to_json(self) -> dict[str, Any]:
        """A JSON object, for a pipe or a socket."""
        return {"token": self.token, "versions": self.versions, "key": self.key}

    def variable(self) -> dict[str, str]:
        """The environment variable that hands them to a supervisor or router.

        Raises:
            ValueError: they are too long for an environment.
        """
        text = json.dumps(self.to_json())
        if len(text.encode()) > _LIMIT:
            raise ValueError(f"the secrets take {len(text)} characters; an environment holds {_LIMIT}: use a file")
        return {_VARIABLE: text}

    def update(self, token: str | None, version: str, values: Mapping[str, str]) -> None:
        """Add one version's values; ``token`` None keeps the one that is there."""
        if token is not None:
            self.token = token
        if values:
            self.versions[version] = dict(values)
