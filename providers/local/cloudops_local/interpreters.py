"""The interpreter of a step: this one, a given one, or that of an isolated environment with what the step needs."""

from __future__ import annotations

import functools
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cloudops import frameworks
from cloudops.errors import ConfigError

from .layout import cache

#: What the runtime inside a job runs on.
_OLDEST = (3, 9)


@dataclass(frozen=True)
class Interpreter:
    """An interpreter and the commands that make it ready (none where that is not ours to do)."""

    python: str
    setup: tuple[tuple[str, ...], ...] = ()


@functools.lru_cache
def check(python: str, place: tuple[str, ...]) -> None:
    """Whether ``python`` is an interpreter that the runtime can use.

    Args:
        python: a path, or a name that is looked for in PATH.
        place: the key that names it.

    Raises:
        ConfigError: it is none.
    """
    program = 'import sys; print("%d.%d" % sys.version_info[:2])'
    try:
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"the interpreter {python!r} does not run: {why}").at(*place) from error
    version = re.fullmatch(r"(\d+)\.(\d+)\s*", done.stdout)
    if version is None:
        raise ConfigError(f"{python!r} is not a Python interpreter").at(*place)
    if (int(version[1]), int(version[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise ConfigError(f"{python!r} is Python {done.stdout.strip()}, expected {oldest} or later").at(*place)


def choose(step: str, framework: str | None, requirements: str | None, python: str | None) -> Interpreter:
    """The interpreter for a step, or for ``deploy``.

    Without requirements it is ``python`` (by default the one that runs cloudops), as long as the framework in it has
    the version that is asked for; in every other case an isolated environment, cached by its content.

    Raises:
        ConfigError: the framework is not known here, a requirement cannot be isolated, or the interpreter does not run.
    """
    wanted = _framework(step, framework)
    if requirements is None and (wanted is None or _satisfied(*wanted, python)):
        return Interpreter(python or sys.executable)
    from cloudops.engine.environments import environment

    lines = _lines(requirements)
    if any(re.search(r"://[^/\s]*@", line) for line in lines):
        hint = "give the index with its credentials in UV_INDEX_URL or PIP_INDEX_URL"
        error = ConfigError("a line holds credentials, which would be stored", hint=hint)
        raise error.at(step, "requirements")
    if framework is not None:
        lines = [*frameworks.requirements(framework), *lines]
    try:
        built = environment(lines, cache_dir=cache(), python=python or sys.executable)
    except ValueError as error:
        raise ConfigError(str(error)).at(step, "requirements") from error
    except OSError as error:
        raise ConfigError(f"the interpreter {python or sys.executable} does not run: {error}").at(step) from error
    return Interpreter(str(built.python), tuple(tuple(command) for command in built.setup()))


def _framework(step: str, framework: str | None) -> tuple[str, str] | None:
    if framework is None:
        return None
    name, version = frameworks.split(framework)
    if name not in frameworks.DISTRIBUTIONS:
        from cloudops.suggest import nearest

        known = frameworks.DISTRIBUTIONS
        hint = nearest(name, known) or f"known here: {', '.join(known)}; or use requirements"
        raise ConfigError(f"local does not know {framework!r}", hint=hint).at(step, "framework")
    return frameworks.DISTRIBUTIONS[name][0], version


def _satisfied(distribution: str, version: str, python: str | None) -> bool:
    """Whether the running interpreter has the framework in the version asked for; another one is not looked into."""
    if python is not None and python != sys.executable:
        return False
    try:
        installed = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return re.match(rf"{re.escape(version)}(\D|$)", installed) is not None


def _lines(requirements: str | None) -> Sequence[str]:
    found = [line.split(" #")[0].strip() for line in (requirements or "").splitlines()]
    return [line for line in found if line and not line.startswith("#")]
