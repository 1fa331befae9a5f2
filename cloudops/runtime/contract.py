"""A job as its process will see it: ``JOB.json`` over what the platform says, then the process's environment.

``JOB.json`` is one object. Only ``command`` is required; what is missing comes from the platform.

==================  ===========================================================================================
``command``         template (:mod:`cloudops.runtime.command`), run by ``/bin/sh -c``
``code``            the working directory; by default the one that the runtime was started in
``inputs``          name -> local path (``gs://`` paths as Vertex AI mounts them)
``outputs``         name -> local path of a folder, created
``params``          name -> scalar or JSON value
``model_dir``       folder whose content becomes the model version, created; ``output_dir`` and
                    ``checkpoint_dir`` likewise
``requirements``    a pip requirements file that is installed first, or null
==================  ===========================================================================================

Relative paths start from the directory that the runtime was started in, ``requirements`` from ``code``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from . import command, platforms
from .errors import Problem, nearest
from .names import variable
from .platforms import Contract

_FOLDERS = ("model_dir", "output_dir", "checkpoint_dir")
_MAPS = ("inputs", "outputs", "params")
_MEMBERS = {"command", "code", "requirements", *_FOLDERS, *_MAPS}
#: What no job sees of its surroundings: another job's values, and the signed addresses of its own inputs.
_OWN_PREFIXES = ("CLOUDOPS_INPUT_", "CLOUDOPS_OUTPUT_", "CLOUDOPS_PARAM_", "CLOUDOPS_SOURCE_")


@dataclass(frozen=True)
class Job:
    """What to run and what it is given."""

    command: str
    code: str
    requirements: Optional[str]
    contract: Contract

    def shell(self) -> str:
        """The text for ``/bin/sh -c``.

        Raises:
            Problem: a placeholder leads nowhere or stands where the shell fills nothing in.
        """
        return command.render(self.command, self._variable)

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """``environ`` with what the job is given.

        Raises:
            Problem: two names share one variable, or a value cannot be in an environment.
        """
        kept = {key: value for key, value in environ.items() if not key.startswith(_OWN_PREFIXES)}
        path = os.pathsep.join(filter(None, [_home(), environ.get("PYTHONPATH")]))
        given = _unique([*self._values(), *self._fixed()])
        return {"PYTHONUNBUFFERED": "1", **kept, **given, "PYTHONPATH": path}

    def _variable(self, group: str, name: str) -> str:
        known: Mapping[str, Any] = getattr(self.contract, group)
        if name not in known:
            raise Problem(
                f"the command's placeholder ${{{{{group}.{name}}}}} leads nowhere; "
                f"{nearest(name, known)} (in the job's {group})"
            )
        return variable(group[:-1].upper(), name)

    def _values(self) -> list[tuple[str, str, str]]:
        return [
            (f"{group[:-1]} {name!r}", variable(group[:-1].upper(), name), text(value))
            for group in _MAPS
            for name, value in getattr(self.contract, group).items()
        ]

    def _fixed(self) -> list[tuple[str, str, str]]:
        given = self.contract
        values: dict[str, Any] = {f"CLOUDOPS_{name.upper()}": getattr(given, name) for name in _FOLDERS}
        values["CLOUDOPS_CLOUD"] = given.cloud
        values["CLOUDOPS_PARAMS"] = json.dumps(dict(given.params), ensure_ascii=False)
        for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            values[name] = values[f"CLOUDOPS_{name}"] = getattr(given, name.lower())
        return [(f"the variable {key}", key, str(value)) for key, value in values.items()]


def text(value: Any) -> str:
    """A parameter as a program gets it: text as it is, anything else as JSON (``true``, ``0.1``, ``[1, 2]``)."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def load(path: Path, contract: Contract) -> Job:
    """The job that ``path`` (a ``JOB.json``) describes, completed by what the platform says.

    Raises:
        Problem: the file is missing or damaged, or has a member that is unknown or of the wrong kind.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Problem(f"the job file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Problem(f"the job file {path} is not JSON: {error}") from error
    _check(given, path)
    return _merge(given, contract)


def _merge(given: Mapping[str, Any], contract: Contract) -> Job:
    named: dict[str, Any] = {key: given[key] for key in (*_FOLDERS, *_MAPS) if given.get(key) is not None}
    merged = replace(contract, **named)
    paths: dict[str, Any] = {key: _absolute(getattr(merged, key)) for key in _FOLDERS}
    for group in ("inputs", "outputs"):
        paths[group] = {name: _absolute(value) for name, value in getattr(merged, group).items()}
    merged = replace(merged, **paths)
    code = _absolute(given.get("code") or ".")
    requirements = given.get("requirements")
    return Job(given["command"], code, requirements and os.path.join(code, requirements), merged)


def _check(given: Any, path: Path) -> None:
    if not isinstance(given, dict) or not isinstance(given.get("command"), str):
        raise Problem(f"the job file {path} must be a JSON object with a 'command', a text")
    for key, value in given.items():
        if key not in _MEMBERS:
            raise Problem(f"the job file {path} has an unknown member {key!r}; {nearest(key, _MEMBERS)}")
        if value is not None and not isinstance(value, dict if key in _MAPS else str):
            raise Problem(f"the job file {path}: {key!r} must be {'an object' if key in _MAPS else 'a text'}")
    for group in ("inputs", "outputs"):
        if not all(isinstance(each, str) for each in (given.get(group) or {}).values()):
            raise Problem(f"the job file {path}: every value of {group!r} must be a path")


def _absolute(path: str) -> str:
    local = platforms.mounted(path)
    return local if "://" in local else os.path.abspath(local)


def _unique(values: list[tuple[str, str, str]]) -> dict[str, str]:
    """Variable -> value, of triples (what it is, variable, value)."""
    owners: dict[str, str] = {}
    for what, key, value in values:
        if key in owners:
            raise Problem(f"{owners[key]} and {what} share one environment variable, {key}; rename one of them")
        if "\x00" in value:
            raise Problem(f"{what} holds a NUL character, which no program can be given")
        try:
            os.fsencode(value)
        except UnicodeEncodeError:
            raise Problem(f"{what} holds text that {sys.getfilesystemencoding()} cannot encode") from None
        owners[key] = what
    return {key: value for _, key, value in values}


def _home() -> str:
    """What makes ``cloudops.runtime`` importable: the archive that this runs from, or the folder of the package."""
    return str(Path(__file__).resolve().parents[2])
