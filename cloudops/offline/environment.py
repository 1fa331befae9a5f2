"""The variables that lead a process to the offline clouds: a client on this machine, and a job inside a cloud."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .emulator import Environment

#: Set for clients: the address of the control API.
ADDRESS = "CLOUDOPS_OFFLINE"
#: Set for clients: the file with the control API's token.
RECORD = "CLOUDOPS_OFFLINE_RECORD"
#: Set for clients: the file with the roots that were trusted before, for offline clouds that are started from there.
ROOTS = "CLOUDOPS_OFFLINE_ROOTS"
#: Set for processes inside the clouds: the folder of the server that they belong to, by which they are found.
OWNER = "CLOUDOPS_OFFLINE_OWNER"

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: What the usual clients take the file with trusted certificates from.
BUNDLES = (
    "AWS_CA_BUNDLE",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "CURL_CA_BUNDLE",
    "DENO_CERT",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
#: What they take a folder with more of them from, and the name of one that has none. curl has no such variable, but a
#: configuration: :func:`write_beside` makes both.
_FOLDERS = ("SSL_CERT_DIR", "GIT_SSL_CAPATH")
_NONE = "none"
#: They would bring back other certificates, or go past the proxy.
_IN_THE_WAY = (
    "PIP_CERT",
    "PIP_PROXY",
    "UV_NATIVE_TLS",
    "GIT_SSL_NO_VERIFY",
    "grpc_proxy",
    "no_grpc_proxy",
)


def proxies(url: str, direct: Iterable[str] = ()) -> dict[str, str]:
    """The proxy variables, for all hosts but this machine and those of ``direct``."""
    exempt = ",".join((*_LOOPBACK, *direct))
    values = {"HTTP_PROXY": url, "HTTPS_PROXY": url, "ALL_PROXY": url, "NO_PROXY": exempt}
    return values | {name.lower(): value for name, value in values.items()}


def write_beside(certificate: Path) -> None:
    """Make what keeps clients from other authorities than the one with ``certificate``. Raises OSError."""
    nothing = certificate.with_name(_NONE)
    nothing.mkdir(exist_ok=True)
    text = f'cacert = "{certificate}"\ncapath = "{nothing}"\n'
    certificate.with_name(".curlrc").write_text(text, encoding="utf-8")


def client(
    proxy: str, url: str, certificate: Path, record: Path, clouds: Iterable[Environment], roots: Path | None = None
) -> Environment:
    """What a client's environment needs.

    It trusts the offline clouds' authority and no other: a client that goes past the proxy cannot speak to a cloud.

    Args:
        proxy: its address, with the password.
        url: of the control API.
        certificate: of the authority; what :func:`write_beside` writes is there.
        record: the file with the control API's token.
        clouds: what each emulator asks for.
        roots: the file with the roots that this machine trusts; None: there is none.
    """
    variables = {
        **proxies(proxy),
        **dict.fromkeys(BUNDLES, str(certificate)),
        **dict.fromkeys(_FOLDERS, str(certificate.with_name(_NONE))),
        "CURL_HOME": str(certificate.parent),
        ADDRESS: url,
        RECORD: str(record),
        **({ROOTS: str(roots)} if roots else {}),
    }
    unset = [*_IN_THE_WAY, ROOTS]
    kept: list[tuple[Sequence[str], str]] = []
    for cloud in clouds:
        variables.update(cloud.variables)
        unset += cloud.unset
        kept += cloud.kept
    return Environment(variables, tuple(dict.fromkeys(name for name in unset if name not in variables)), kept)


def network(
    proxy: str, certificate: Path, owner: Path, indexes: Mapping[str, str], direct: Iterable[str]
) -> dict[str, str]:
    """What a process inside a cloud needs: proxy and authority, no credentials.

    Args:
        proxy: its address, with the password.
        certificate: of the authority.
        owner: the server's folder.
        indexes: how pip and uv reach the package indexes, as :func:`cloudops.offline.indexes.variables` gives it.
        direct: the hosts of the package indexes, reached without the proxy.
    """
    return {**proxies(proxy, direct), **dict.fromkeys(BUNDLES, str(certificate)), OWNER: str(owner), **indexes}


def resolved(environment: Environment, base: Mapping[str, str]) -> Environment:
    """``environment`` for a process whose variables are ``base``: names for patterns, values for what is kept."""
    variables = dict(environment.variables)
    for names, default in environment.kept:
        value = next((base[name] for name in names if base.get(name)), default)
        variables.update(dict.fromkeys(names, value))
    unset = [name for name in base if any(fnmatch.fnmatchcase(name, pattern) for pattern in environment.unset)]
    return Environment(variables, tuple(name for name in unset if name not in variables))


def applied(environment: Environment, base: Mapping[str, str]) -> dict[str, str]:
    """``base`` with the variables of ``environment`` set and unset."""
    found = resolved(environment, base)
    return {**{name: value for name, value in base.items() if name not in found.unset}, **found.variables}


#: Of the caller's variables, the server gets no others: what its jobs' supervisors could be asked for is not there.
_SERVER = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TERM",
        "VIRTUAL_ENV",
        "TMP",
        "TEMP",
    }
    | {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CLOUDOPS_DEBUG"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SYSTEMROOT"}
)
_SERVER_PREFIXES = ("LC_", "PYTHON", "PIP_", "UV_", "XDG_", "COVERAGE", "COV_", "OMP_", "MKL_", "OPENBLAS_")


def outside(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process that may have been led to offline clouds, without their proxy and their authority.

    What was trusted before takes the authority's place, so that the package indexes can be reached.
    """
    if ADDRESS not in environ:
        return dict(environ)
    kept = {
        name: value for name, value in environ.items() if name not in {*proxies(""), *BUNDLES, *_FOLDERS, "CURL_HOME"}
    }
    return kept | (dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT"), environ[ROOTS]) if ROOTS in environ else {})


def for_server(base: Mapping[str, str]) -> dict[str, str]:
    """The part of the caller's environment that the server itself runs with: no credentials, no proxies."""
    before = outside(base)
    return {name: value for name, value in before.items() if name in _SERVER or name.startswith(_SERVER_PREFIXES)}
