"""Secrets of a job or of a version: one in AWS Secrets Manager, for as long as that exists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudops.errors import Conflict, InvalidRequest, NotFound

from .errors import is_kind

if TYPE_CHECKING:
    from .client import Client

#: Bytes of one secret in the service.
_LARGEST = 65536


def put(client: Client, name: str, values: Mapping[str, str], project: str) -> None:
    """Keep ``values`` under ``name``, over what may be there."""
    text = json.dumps(dict(values))
    if len(text.encode()) > _LARGEST:
        raise InvalidRequest(f"the secrets are larger than {_LARGEST} bytes together", provider="sagemaker")
    service = client.service("secretsmanager")
    try:
        tags = [{"Key": "cloudops:project", "Value": project}]
        service.create_secret(Name=name, SecretString=text, Tags=tags)
    except Exception as error:
        if not is_kind(error, Conflict):
            raise
        service.put_secret_value(SecretId=name, SecretString=text)


def delete(client: Client, name: str) -> None:
    """Delete at once; silent when it is gone."""
    try:
        client.service("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    except Exception as error:
        if not is_kind(error, NotFound):
            raise
