"""Secrets of a job, or of an endpoint's version: one in Secret Manager, for as long as that exists.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudops.errors import Conflict, InvalidRequest, NotFound

from . import names
from .errors import is_kind

if TYPE_CHECKING:
    from .client import Client

#: Bytes of one version in the service.
_LARGEST = 65536


def put(client: Client, name: str, values: Mapping[str, str], project: str, kind: str = "jobs") -> None:
    """Keep ``values`` for the job ``name`` (or what else ``kind`` says), over what may be there, in one location."""
    content = json.dumps(dict(values)).encode()
    if len(content) > _LARGEST:
        raise InvalidRequest(f"the secrets are larger than {_LARGEST} bytes together", provider="vertex")
    replica: dict[str, object] = {"location": client.location}
    if client.settings.kms_key:
        replica["customerManagedEncryption"] = {"kmsKeyName": client.settings.kms_key}
    try:
        client.request(
            "secretmanager.secrets.create",
            "POST",
            f"{names.SECRETS}/projects/{client.project}/secrets",
            params={"secretId": names.secret_id(name, kind)},
            json={
                "replication": {"userManaged": {"replicas": [replica]}},
                "labels": {names.PROJECT: names.label(project)},
            },
        )
    except Exception as error:
        if not is_kind(error, Conflict):
            raise
    client.request(
        "secretmanager.secrets.addVersion",
        "POST",
        f"{names.secret_url(client.project, name, kind)}:addVersion",
        json={"payload": {"data": base64.b64encode(content).decode()}},
    )


def delete(client: Client, name: str, kind: str = "jobs") -> None:
    """Delete the secret of the job ``name``, or of what else ``kind`` says; silent when it is gone."""
    try:
        client.request("secretmanager.secrets.delete", "DELETE", names.secret_url(client.project, name, kind))
    except Exception as error:
        if not is_kind(error, NotFound):
            raise
