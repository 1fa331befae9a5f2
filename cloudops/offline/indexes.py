"""The package indexes that pip and uv use on this machine: jobs reach them directly, as the one exception.

An emulated job installs its requirements like a real one. Which hosts that takes is read from where pip and uv read
it, as far as it names hosts. Credentials for an index are the caller's, and no job's unless he says so.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_DEFAULT = ("pypi.org", "files.pythonhosted.org")
_MAIN = ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
#: Where systems keep their roots; OpenSSL itself may know a folder only.
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
#: In addresses; and what is in the names of variables that hold them.
_CREDENTIALS = re.compile(r"//[^/\s]*@")
_SECRET_NAMES = ("PASSWORD", "TOKEN", "SECRET", "USERNAME", "CREDENTIAL", "CLIENT_CERT")
_MORE = ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS")


def hosts(environ: Mapping[str, str]) -> list[str]:
    """The hosts of the package indexes, PyPI's where no other one is the main index."""
    main = [value for name in _MAIN if (value := environ.get(name))]
    more = [value for name in _MORE if (value := environ.get(name))]
    for section in _pip_settings(environ):
        main += [section["index-url"]] if "index-url" in section else []
        more += [section[key] for key in ("extra-index-url", "find-links") if key in section]
    for index in _uv_indexes(environ):
        (main if index.get("default") else more).append(str(index.get("url", "")))
    found = [host for value in main for host in _hosts(value)]
    others = [host for value in more for host in _hosts(value)]
    return list(dict.fromkeys([*(found or _DEFAULT), *others]))


def holds_credentials(name: str, value: str) -> bool:
    """Whether a variable of pip or uv holds credentials, or names a settings file that does."""
    if any(word in name.upper() for word in _SECRET_NAMES) or _CREDENTIALS.search(value):
        return True
    if name.endswith("_CONFIG_FILE"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return _CREDENTIALS.search(Path(value).read_text(encoding="utf-8")) is not None
    return False


def withheld(environ: Mapping[str, str]) -> list[str]:
    """The variables of pip and uv that hold credentials, or name a file that does."""
    return sorted(name for name, value in _settings(environ).items() if holds_credentials(name, value))


def variables(
    environ: Mapping[str, str], certificate: Path, bundle: Path, *, credentials: bool = False
) -> dict[str, str]:
    """What lets pip and uv inside a job reach the indexes: the caller's settings, and the roots that he trusts.

    Args:
        environ: the caller's.
        certificate: of the offline clouds' authority.
        bundle: the file to be written, with that and those roots: uv has no variable of its own for them.
        credentials: whether a job gets those of the indexes, too; if not, addresses are given without them.

    Raises:
        OSError: it cannot be written.
    """
    trusted = roots(environ)
    bundle.write_bytes(certificate.read_bytes() + (b"" if trusted is None else trusted.read_bytes()))
    settings = _settings(environ)
    if not credentials:
        bare = {name: _CREDENTIALS.sub("//", value) for name, value in settings.items()}
        settings = {name: value for name, value in bare.items() if not holds_credentials(name, value)}
    # Requests, which pip is built on, prefers the last one to what pip tells it.
    return {**settings, **dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(bundle))}


def _settings(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(("PIP_", "UV_"))}


def roots(environ: Mapping[str, str]) -> Path | None:
    """The file with the roots that this machine trusts: the first that can be read of those where they may lie."""
    named = [environ.get(name) for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
    for path in [*named, ssl.get_default_verify_paths().cafile, *_SYSTEM, _certifi()]:
        if path and os.path.isfile(path) and os.access(path, os.R_OK):
            return Path(path)
    return None


def _certifi() -> str | None:
    with contextlib.suppress(ImportError):
        from importlib.util import find_spec

        for name in ("certifi", "pip._vendor.certifi"):
            spec = find_spec(name)
            if spec is not None and spec.origin:
                return str(Path(spec.origin).with_name("cacert.pem"))
    return None


def _hosts(value: str) -> Iterator[str]:
    for word in value.split():
        address = word.split("=", 1)[1] if "=" in word.partition("://")[0] else word  # uv: NAME=URL
        with contextlib.suppress(ValueError):
            parts = urlsplit(address)
            if parts.scheme in ("http", "https") and parts.hostname:
                yield parts.hostname


def _pip_settings(environ: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return
    parser = configparser.RawConfigParser()
    for path in _pip_files(environ):
        with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read(path, encoding="utf-8")
    for section in ("global", "install", "download"):
        if parser.has_section(section):
            yield dict(parser.items(section))


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or Path.home())
    for folder in reversed(environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        yield Path(folder) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    if environ.get("VIRTUAL_ENV"):
        yield Path(environ["VIRTUAL_ENV"]) / "pip.conf"
    if environ.get("PIP_CONFIG_FILE"):
        yield Path(environ["PIP_CONFIG_FILE"])


def _uv_indexes(environ: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    home = Path(environ.get("HOME") or Path.home())
    named = environ.get("UV_CONFIG_FILE")
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "uv" / "uv.toml"
    for path in [Path(named)] if named else [Path("/etc/uv/uv.toml"), user]:
        with contextlib.suppress(OSError, ValueError):
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
            yield from settings.get("index", [])
            for key, default in (("index-url", True), ("extra-index-url", False)):
                values = settings.get("pip", {}).get(key, settings.get(key, []))
                for value in [values] if isinstance(values, str) else values:
                    yield {"url": value, "default": default}
