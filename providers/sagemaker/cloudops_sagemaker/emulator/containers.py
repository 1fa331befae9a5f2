"""Containers without containers: folders with an ``/opt/ml`` of their own, and commands that run inside them.

Where this machine has user namespaces, ``/opt/ml`` is that very path for the process and what it starts, and the hosts
of a job know each other as ``algo-1``, ``algo-2``, ... Elsewhere the path is rewritten in arguments and variables;
``SM_OPT_ML`` then says where it is. A process sees no variable of the caller's.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .pythons import Interpreter, layer

ML = "/opt/ml"
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
_LAUNCHER = Path(__file__).with_name("optml.py")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Container:
    """A container's folder.

    Args:
        root: the folder.
        python: the interpreter that stands for its image.
        host: its name.
        literal: whether ``/opt/ml`` is that path inside it.
        hosts: names to addresses that ``/etc/hosts`` has to tell, besides this machine's.
    """

    root: Path
    python: Interpreter
    host: str = "algo-1"
    literal: bool = True
    hosts: Mapping[str, str] = field(default_factory=dict)

    @property
    def ml(self) -> Path:
        """Its ``/opt/ml``, as this process sees it."""
        return self.root / "opt" / "ml"

    @property
    def programs(self) -> Path:
        """Where its ``python`` and ``pip`` are."""
        return self.root / "python" / "bin"

    def create(self, folders: Sequence[str]) -> None:
        """Make it, with these folders below ``/opt/ml``."""
        for name in ("home", "tmp"):
            (self.root / name).mkdir(parents=True)
        for name in folders:
            (self.ml / name).mkdir(parents=True, exist_ok=True)
        layer(self.root / "python", self.python)
        if self.literal:
            _places_for(Path("/opt"), self.ml.parent)
            lines = [_own_hosts(), *(f"{address} {name}" for name, address in self.hosts.items())]
            (self.root / "hosts").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def outside(self, path: str) -> Path:
        """Where a path inside the container lies for this process; ``/opt/ml`` is the container's, all else shared."""
        return Path(self._rewritten(path))

    def inside(self, path: str) -> str:
        """How a path below ``/opt/ml`` has to be called inside."""
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
            own["SM_OPT_ML"] = str(self.ml)
        return {
            "argv": [self.inside(part) for part in argv],
            "env": {**own, **{name: self.inside(value) for name, value in env.items()}},
            "cwd": str(self.root / "home"),
            "opt": str(self.ml.parent),
            "hosts": str(self.root / "hosts") if self.hosts else "",
            "hostname": self.host,
            "isolated": isolated and self.literal and len(self.hosts) < 2,
        }

    def _rewritten(self, text: str) -> str:
        return re.sub(r"(?<![\w.-])/opt/ml(?![\w.-])", lambda _: str(self.ml), text)


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


def namespaces_work() -> bool:
    """Whether a process of this user may have a mount namespace with an ``/opt`` of its own."""
    import tempfile

    if sys.platform != "linux" or not os.path.isdir("/opt"):
        return False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "opt" / "ml").mkdir(parents=True)
        _places_for(Path("/opt"), folder / "opt")
        (folder / "hosts").write_text(_own_hosts(), encoding="utf-8")
        entry: dict[str, object] = {
            "argv": ["/bin/sh", "-c", "test -d /opt/ml"],
            "env": {},
            "cwd": "/",
            "opt": str(folder / "opt"),
        }
        entry |= {"hosts": str(folder / "hosts"), "hostname": "algo-1", "isolated": False}
        command = launch(folder / "entry.json", [entry], literal=True)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _places_for(source: Path, target: Path) -> None:
    """Places in ``target`` at which what is in ``source`` can be mounted."""
    for entry in os.scandir(source):
        place = target / entry.name
        if place.exists():
            continue
        if entry.is_dir():
            place.mkdir()
        else:
            place.touch()


def _own_hosts() -> str:
    try:
        return Path("/etc/hosts").read_text(encoding="utf-8").rstrip()
    except OSError:
        return "127.0.0.1 localhost"
