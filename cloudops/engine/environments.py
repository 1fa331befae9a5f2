"""Isolated Python environments, built once for each set of requirements and shared by every job that has the same.

``python -m cloudops.engine.environments CACHE PYTHON LINE...`` builds the one for the requirement lines; jobs run it
as a set-up command. It uses uv where that is installed, else venv and pip.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .files import locked

_FACTS = "import sys, sysconfig; print(sys.version, sysconfig.get_platform(), sys.base_prefix, sep='\\n')"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_EXPLANATION = re.compile(r"^\W*(?:cause|error|caused by)?\W*", re.IGNORECASE)
_POINTS_ELSEWHERE = re.compile(r"(-r|-c|-e|--requirement|--constraint|--editable)\b|\.{1,2}(/|$)")


class RequirementError(Exception):
    """An environment could not be built; the message names the requirement that stands in the way, if one does."""


@dataclass(frozen=True)
class Environment:
    """An isolated environment, which is built by running :meth:`setup`.

    Args:
        key: digest of the requirements, the interpreter and the platform.
        path: its folder.
        python: its interpreter.
        base: the interpreter that it is made from.
        requirements: the lines, in the order in which they are given to the installer.
    """

    key: str
    path: Path
    python: Path
    base: str
    requirements: tuple[str, ...]

    def ready(self) -> bool:
        """Whether it is complete. One whose interpreter was since removed from the machine is not."""
        return self.complete.exists() and self.python.exists()

    @property
    def complete(self) -> Path:
        """The file that is written last."""
        return self.path / ".complete"

    def setup(self) -> tuple[tuple[str, ...], ...]:
        """The commands that build it; they do nothing where it is ready.

        They are given then too: what is ready now may have been removed from the cache when it is needed.
        """
        cache = self.path.parent.parent
        command = (sys.executable, "-P", "-m", __spec__.name, str(cache), self.base, *self.requirements)
        return (command,)


def environment(requirements: Sequence[str], cache_dir: Path, python: str = sys.executable) -> Environment:
    """The environment for ``requirements``, lines as in a requirements file; nothing is built yet.

    The order of the packages and blank or comment lines make no difference; the order of options does. What a line
    points to on a disk (``pkg @ file:///...``) is known by its name only.

    Raises:
        ValueError: a line needs a file that is not part of the requirements (``-r``, ``-c``, ``-e``, ``./``).
        OSError: ``python`` cannot be run.
    """
    lines = _normalized(requirements)
    digest = hashlib.sha256("\n".join([*lines, "", _facts(python)]).encode())
    key = digest.hexdigest()[:20]
    path = Path(cache_dir).absolute() / "envs" / key
    return Environment(key, path, path / "bin" / "python", python, lines)


def build(wanted: Environment) -> None:
    """Build the environment, or wait for another process that does; what was left half built is built anew.

    The output of the installer goes to standard output.

    Raises:
        RequirementError: the installer failed.
        OSError: the cache cannot be written.
    """
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    with locked(wanted.path.with_name(f"{wanted.key}.lock")):
        if wanted.ready():
            return
        shutil.rmtree(wanted.path, ignore_errors=True)
        try:
            _install(wanted)
        except BaseException:
            shutil.rmtree(wanted.path, ignore_errors=True)
            raise


def main(arguments: Sequence[str]) -> int:
    """Build the environment for ``CACHE PYTHON LINE...``; returns the exit code."""
    cache, python, *lines = arguments
    try:
        build(environment(lines, Path(cache), python))
    except (RequirementError, OSError) as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def _normalized(requirements: Sequence[str]) -> tuple[str, ...]:
    stripped = [re.sub(r"(^|\s)#.*", "", line).strip() for line in requirements]
    lines = [line for line in stripped if line]
    for line in lines:
        if _POINTS_ELSEWHERE.match(line):
            raise ValueError(f"requirement {line!r} points to another file; put what that file says in its place")
    options = [line for line in lines if line.startswith("-")]
    return (*options, *sorted({line for line in lines if not line.startswith("-")}))


def _facts(python: str) -> str:
    """What of an interpreter decides whether packages installed for it can be used."""
    import subprocess

    if python == sys.executable:
        import sysconfig

        return f"{sys.version}\n{sysconfig.get_platform()}\n{sys.base_prefix}"
    try:
        return subprocess.run([python, "-c", _FACTS], capture_output=True, text=True, check=True).stdout.strip()
    except subprocess.CalledProcessError as error:
        raise OSError(f"{python} is not a Python interpreter that runs: {error.stderr.strip()[-200:]}") from error


def _install(wanted: Environment) -> None:
    requirements = wanted.path.with_name(f"{wanted.key}.txt")
    requirements.write_text("\n".join(wanted.requirements) + "\n", encoding="utf-8")
    try:
        for command in _commands(wanted, requirements):
            code, output = _run(command, wanted.path.parent)
            if code:
                raise RequirementError(_blame(wanted.requirements, output, code))
        wanted.complete.touch()
    finally:
        with contextlib.suppress(OSError):
            requirements.unlink()


def _commands(wanted: Environment, requirements: Path) -> list[list[str]]:
    uv = find_uv()
    inner = str(wanted.python)
    if uv is None:
        pip = [inner, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", str(requirements)]
        return [[wanted.base, "-m", "venv", str(wanted.path)], pip]
    install = [uv, "pip", "install", "--compile-bytecode", "--python", inner, "-r", str(requirements)]
    return [[uv, "venv", "--quiet", "--no-project", "--python", wanted.base, str(wanted.path)], install]


def find_uv() -> str | None:
    """uv beside the running interpreter, or on the path."""
    beside = Path(sys.prefix) / "bin" / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def _run(command: Sequence[str], cwd: Path) -> tuple[int, list[str]]:
    """Run a command, show its output, and return the exit code and the last lines."""
    import subprocess

    process = subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    last: deque[str] = deque(maxlen=60)
    with process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            last.append(line.rstrip())
    return process.returncode, list(last)


def _blame(requirements: Sequence[str], output: Sequence[str], code: int) -> str:
    """Which requirement failed, and why, as far as the installer's last words tell."""
    complaints = [line for line in output if re.match(r"\W*(cause|caused by|error|╰)", line, re.IGNORECASE)]
    words = (complaints or [line for line in output if line.strip()] or [f"exit code {code}"])[-1]
    why = _EXPLANATION.sub("", words)
    for text in (why, "\n".join(complaints), "\n".join(output)):
        named = [line for line in requirements if _mentions(text, line)]
        if named:
            return f"cannot install {', '.join(named[:3])}: {why}"
    return f"cannot build the environment: {why}"


def _mentions(text: str, requirement: str) -> bool:
    name = _NAME.match(requirement)
    if name is None:
        return False
    address = requirement.partition("@")[2].strip()
    if address and address in text:
        return True
    pattern = re.sub(r"[-_.]+", "[-_.]+", name[0].lower())
    return re.search(rf"(?<![\w.-]){pattern}(?![\w-])", text.lower()) is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
