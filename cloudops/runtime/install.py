"""Installs what a job requires, before its command runs."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping

from . import process
from .errors import Problem

_KEPT = 8192  # bytes of the installer's standard error in which its reason is looked for
_COMPLAINT = re.compile(r"\W*(error|cause|caused by)\b|\W*╰", re.IGNORECASE)  # pip's and uv's


def install(requirements: str, environ: Mapping[str, str], *, cwd: str, contained: bool) -> None:
    """Install a pip requirements file for this interpreter, with uv where it is on the path, else with pip.

    ``contained``: the Python is a container's and thus ours, even if it is marked as managed by its distribution.

    Raises:
        Problem: that fails; the message has the installer's own reason.
    """
    env = dict(environ)
    if contained:
        env.update(PIP_BREAK_SYSTEM_PACKAGES="1", UV_BREAK_SYSTEM_PACKAGES="1")
    uv = shutil.which("uv", path=environ.get("PATH"))
    tool = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    said = bytearray()

    def keep(data: bytes) -> None:
        said.extend(data)
        del said[:-_KEPT]

    code = process.run([*tool, "-r", requirements], env=env, cwd=cwd, errors=keep)
    if code:
        reason = _reason(said.decode("utf-8", "replace"))
        raise Problem(f"installing {requirements} ended with {process.described(code)}{reason and ': '}{reason}")


def _reason(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    complaints = [line for line in lines if _COMPLAINT.match(line)]
    return re.sub(r"^\W+", "", (complaints or lines or [""])[-1])[:300]
