"""Containers without containers: folders that have a place of their own, and commands that run inside them.

Where this machine has user namespaces, the place (``/opt/ml`` of SageMaker, ``/gcs`` of Vertex AI) is that very path
for the process and what it starts, and the hosts of a job know each other by their names. Elsewhere the path is
rewritten in arguments and variables; a variable then says where it is. A process sees no variable of the caller's.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from .pythons import Interpreter, layer

#: What the engine says that a container's process is to see.
_KEPT = (
    "CLOUDOPS_JOB_ID",
    "CUDA_VISIBLE_DEVICES",
    "PYTHONUNBUFFERED",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
_LAUNCHER = Path(__file__).with_name("enter.py")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Container(ABC):
    """A container's folder.

    Args:
        root: the folder.
        python: the interpreter that stands for its image.
        host: its name.
        literal: whether :attr:`place` is that path inside it.
        hosts: names to addresses that ``/etc/hosts`` has to tell, besides this machine's.
    """

    #: The path inside it that is its own.
    place: ClassVar[str]
    #: The variable that says where that is, in a container that is not literal.
    variable: ClassVar[str]

    root: Path
    python: Interpreter
    host: str = "algo-1"
    literal: bool = True
    hosts: Mapping[str, str] = field(default_factory=dict)

    @property
    @abstractmethod
    def own(self) -> Path:
        """Where :attr:`place` lies, as this process sees it."""

    @property
    def programs(self) -> Path:
        """Where its ``python`` and ``pip`` are."""
        return self.root / "python" / "bin"

    def create(self) -> None:
        """Make it."""
        for name in ("home", "tmp"):
            (self.root / name).mkdir(parents=True)
        layer(self.root / "python", self.python)
        if self.literal:
            places(self._overlaid, self._overlay)
            (self._overlay / Path(self.place).name).mkdir(parents=True, exist_ok=True)
            lines = [_own_hosts(), *(f"{address} {name}" for name, address in self.hosts.items())]
            (self.root / "hosts").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def outside(self, path: str) -> Path:
        """Where a path inside lies for this process; :attr:`place` is the container's, all else shared."""
        return Path(self._rewritten(path))

    def inside(self, path: str) -> str:
        """How a path below :attr:`place` has to be called inside."""
        return path if self.literal else self._rewritten(path)

    def entry(self, argv: Sequence[str], env: Mapping[str, str], *, isolated: bool = False) -> dict[str, object]:
        """What the launcher needs to run ``argv`` in it, with the variables of ``env`` beside the container's own.

        ``isolated``: without any network, where that is possible: in a literal container that is its job's only one.
        """
        own = {
            "PATH": f"{self.programs}:{self.python.scripts}:{_PATH}",
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONIOENCODING": "UTF-8",
            "HOSTNAME": self.host,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        if not self.literal:
            own[self.variable] = str(self.own)
        return {
            "argv": [self.inside(part) for part in argv],
            "env": {**own, **{name: self.inside(value) for name, value in env.items()}},
            "cwd": str(self.root / "home"),
            "overlaid": str(self._overlaid),
            "overlay": str(self._overlay),
            "own": {Path(self.place).name: str(self.own)},
            "hosts": str(self.root / "hosts") if self.hosts else "",
            "hostname": self.host,
            "isolated": isolated and self.literal and len(self.hosts) < 2,
        }

    @property
    def _overlaid(self) -> Path:
        return Path(self.place).parent

    @property
    def _overlay(self) -> Path:
        """What stands for the folder above :attr:`place`."""
        return self.root / "above"

    def _rewritten(self, text: str) -> str:
        return re.sub(rf"(?<![\w.-]){re.escape(self.place)}(?![\w.-])", lambda _: str(self.own), text)


def launch(
    file: Path, entries: Sequence[Mapping[str, object]], *, literal: bool, keep: Sequence[str] = ()
) -> tuple[str, ...]:
    """The command that enters the container of its rank and becomes its program.

    Args:
        file: where its configuration is written.
        entries: of each rank, by :meth:`Container.entry`.
        literal: whether the containers are.
        keep: variables of the engine's that the program is to see besides the usual ones.
    """
    config = {"containers": list(entries), "literal": literal, "keep": [*_KEPT, *keep]}
    file.write_text(json.dumps(config), encoding="utf-8")
    return (sys.executable, "-I", "-S", str(_LAUNCHER), str(file))


def namespaces_work(place: str) -> bool:
    """Whether a process of this user may have a mount namespace in which ``place`` is a folder of its own."""
    import tempfile

    above = Path(place).parent
    if sys.platform != "linux" or not above.is_dir():
        return False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = folder / "own"
        own.mkdir()
        (folder / "above" / Path(place).name).mkdir(parents=True)
        places(above, folder / "above")
        (folder / "hosts").write_text(_own_hosts(), encoding="utf-8")
        entry: dict[str, object] = {
            "argv": ["/bin/sh", "-c", f"test -d {place}"],
            "env": {},
            "cwd": "/",
            "overlaid": str(above),
            "overlay": str(folder / "above"),
            "own": {Path(place).name: str(own)},
        }
        entry |= {"hosts": str(folder / "hosts"), "hostname": "host", "isolated": False}
        command = launch(folder / "entry.json", [entry], literal=True)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def places(source: Path, target: Path) -> None:
    """Make places in ``target`` at which what is in ``source`` can be mounted; links are made anew."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(source):
        place = target / entry.name
        if place.exists() or place.is_symlink():
            continue
        if entry.is_symlink():
            place.symlink_to(os.readlink(entry.path))
        elif entry.is_dir():
            place.mkdir()
        else:
            place.touch()


def _own_hosts() -> str:
    try:
        return Path("/etc/hosts").read_text(encoding="utf-8").rstrip()
    except OSError:
        return "127.0.0.1 localhost"
