"""Throw-away credentials of Google's clients: the key of a service account, and the variables that lead to it."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from cloudops.offline.emulator import Environment

#: The project of those who name none.
PROJECT = "cloudops-offline"
EMAIL = f"offline@{PROJECT}.iam.gserviceaccount.com"
TOKEN_URI = "https://oauth2.googleapis.com/token"
_FILE = "service-account.json"
#: They all name the project.
_PROJECTS = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
#: They name other credentials, or lead past the proxy or to another cloud.
_UNSET = (
    "GOOGLE_CREDENTIALS",
    "GOOGLE_CLOUD_KEYFILE_JSON",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT",
    "GOOGLE_EXTERNAL_ACCOUNT_*",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
    "GOOGLE_API_CERTIFICATE_CONFIG",
    "GOOGLE_SDK_EXPERIMENTAL_PYTHON_REGIONAL_ACCESS_BOUNDARY_LOOKUP_ENABLED",
    "GOOGLE_AUTH_TRUST_BOUNDARY_ENABLED",
    "APPENGINE_RUNTIME",
    "GCE_METADATA_*",
    "CLOUDSDK_ACTIVE_CONFIG_NAME",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_*",
    "CLOUDSDK_AUTH_*",
    "CLOUDSDK_BILLING_QUOTA_PROJECT",
    "CLOUDSDK_CONTEXT_AWARE_*",
    "CLOUDSDK_CORE_ACCOUNT",
    "CLOUDSDK_CORE_UNIVERSE_DOMAIN",
    "CLOUDSDK_PROXY_*",
    "STORAGE_EMULATOR_HOST",
    "BIGQUERY_EMULATOR_HOST",
    "PUBSUB_EMULATOR_HOST",
)

_LOCK = threading.Lock()
_KEYS: dict[str, Key] = {}


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a service account that this process has written.

    Args:
        id: of the key.
        email: of the account.
        private: PEM.
    """

    id: str
    email: str
    private: str


def environment(folder: Path) -> Environment:
    """What a client's environment needs; the files that it names are in ``folder``."""
    key, configuration = write(folder), folder / "gcloud"
    configuration.mkdir(parents=True, exist_ok=True)
    variables = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(key),
        "CLOUDSDK_CONFIG": str(configuration),
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "NO_GCE_CHECK": "true",  # what asks for the machine's own account finds none, at once
        # Unset, they let a client look for certificates of its machine, and go to hosts of other names.
        "GOOGLE_API_USE_CLIENT_CERTIFICATE": "false",
        "CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE": "false",
        "GOOGLE_API_USE_MTLS_ENDPOINT": "never",
    }
    return Environment(variables, _UNSET, [(_PROJECTS, PROJECT)])


def write(folder: Path) -> Path:
    """The file with the key of a service account, made where there is none; whoever calls knows the key then."""
    path = folder / _FILE
    with _LOCK:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _make(path)
        found = json.loads(path.read_text(encoding="utf-8"))
        _KEYS[found["private_key_id"]] = Key(found["private_key_id"], found["client_email"], found["private_key"])
    return path


def keys(key_id: str, email: str) -> list[Key]:
    """The keys of an account that :func:`write` was asked for in this process, those with an id if there are such."""
    with _LOCK:
        of_account = [key for key in _KEYS.values() if key.email == email]
    return [key for key in of_account if key.id == key_id] or of_account


def _make(path: Path) -> None:
    import hashlib

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    digest = hashlib.sha256(pem.encode()).hexdigest()
    content = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": digest[:40],
        "private_key": pem,
        "client_email": EMAIL,
        "client_id": str(10**20 + int(digest[:16], 16)),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": TOKEN_URI,
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "universe_domain": "googleapis.com",
    }
    # Nobody but its owner may read it, and nobody may read half of it.
    part = path.with_suffix(f".{os.getpid()}")
    with open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    part.replace(path)
