"""What goes into a container beside the user's files: the runtime, and cloudops' own first process or hooks."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

_FOLDER = Path(__file__).parent / "container"
#: Files of a job and of a replica.
JOB_FILES = ("boot.py", "cloudops_secret.py", "entry.sh")
SERVING_FILES = ("cloudops_secret.py",)


@functools.cache
def runtime_archive() -> tuple[str, bytes]:
    """File name and content of the runtime's archive."""
    from cloudops.runtime.archive import build

    with tempfile.TemporaryDirectory() as folder:
        path = build(Path(folder))
        return path.name, path.read_bytes()


def runtime_name() -> str:
    """The file name of the runtime's archive; it follows from its content."""
    return runtime_archive()[0]


def container_file(name: str) -> bytes:
    """A file of :mod:`cloudops_sagemaker.container`."""
    return (_FOLDER / name).read_bytes()
