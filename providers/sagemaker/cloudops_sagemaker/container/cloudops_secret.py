"""Brings the secrets of a job or a replica from AWS Secrets Manager into its environment."""

from __future__ import annotations

import json
import os
from collections.abc import MutableMapping
from typing import Optional


def fetch(name: str, region: Optional[str]) -> dict[str, str]:
    """The secrets under ``name``, by variable.

    Raises:
        RuntimeError: they cannot be read; one line that says why.
    """
    if not name:
        return {}
    try:
        import boto3
    except ImportError:
        text = "secrets need boto3 in the image, and it has none; add it to the image or the requirements"
        raise RuntimeError(text) from None
    try:
        client = boto3.session.Session().client("secretsmanager", region_name=region)
        return dict(json.loads(client.get_secret_value(SecretId=name)["SecretString"]))
    except Exception as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
        hint = "; the role needs secretsmanager:GetSecretValue" if "AccessDenied" in code else ""
        raise RuntimeError(
            "the secret {} cannot be read: {}{}".format(name, " ".join(str(error).split()), hint)
        ) from error


def bring(environ: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Put the secrets that ``CLOUDOPS_SECRET`` names into ``environ``; it is no secret itself."""
    found = fetch(environ.get("CLOUDOPS_SECRET", ""), environ.get("CLOUDOPS_REGION") or environ.get("AWS_REGION"))
    environ.update(found)
    return found
