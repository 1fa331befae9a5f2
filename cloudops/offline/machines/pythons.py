"""Private Python environments: layered over an interpreter, made in milliseconds, and free to install into."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_FACTS = """
import json, os, site, sys, sysconfig
print(json.dumps({
    "base": getattr(sys, "_base_executable", sys.executable),
    "version": sys.version.split()[0],
    "site": [path for path in dict.fromkeys([*site.getsitepackages(), *(
        [site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]) if os.path.isdir(path)],
    "bin": sysconfig.get_path("scripts"),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine.

    Args:
        path: its program.
        base: the program that it is a virtual environment of, or itself.
        version: such as ``3.11.4``.
        site: where its packages are.
        scripts: where its programs are.
    """

    path: str
    base: str
    version: str
    site: tuple[str, ...]
    scripts: str

    def package(self, name: str) -> str | None:
        """The version in which it has a package, None where it has none of that name."""
        from importlib.metadata import distributions

        return next((found.version for found in distributions(name=name, path=list(self.site))), None)


@functools.cache
def interpreter(path: str) -> Interpreter:
    """What there is to know of the interpreter at ``path``.

    Raises:
        OSError: it cannot be run; the message says so.
    """
    try:
        done = subprocess.run([path, "-c", _FACTS], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise OSError(f"{path} is no Python interpreter that runs here: {error}") from error
    facts = json.loads(done.stdout)
    return Interpreter(path, facts["base"], facts["version"], tuple(facts["site"]), facts["bin"])


def layer(folder: Path, over: Interpreter) -> Path:
    """Make an environment in ``folder`` that sees the packages of ``over`` and changes none of them.

    ``pip install`` in it installs into ``folder``, and what it installs wins. Returns its folder of programs, in which
    ``python``, ``python3`` and ``pip`` are its own.
    """
    short = ".".join(over.version.split(".")[:2])
    packages = folder / "lib" / f"python{short}" / "site-packages"
    packages.mkdir(parents=True)
    programs = folder / "bin"
    programs.mkdir()
    home = os.path.dirname(over.base)
    text = f"home = {home}\ninclude-system-site-packages = false\nversion = {over.version}\n"
    (folder / "pyvenv.cfg").write_text(text, encoding="utf-8")
    for name in ("python", "python3", f"python{short}"):
        (programs / name).symlink_to(over.base)
    lines = [f"import site; site.addsitedir({path!r})" for path in over.site]
    (packages / "_image.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("pip", "pip3"):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec "{programs / "python"}" -m pip "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return programs
