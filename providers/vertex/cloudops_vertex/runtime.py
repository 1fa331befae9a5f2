"""What goes into a container beside the user's files: the runtime, and cloudops' own first process."""

from __future__ import annotations

import ast
import functools
import io
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

_FOLDER = Path(__file__).parent / "container"
#: Files of a job: where they are in its archive, and here; empty for an empty one. The names are as they are imported.
JOB_FILES = {
    "boot.py": "boot.py",
    "cloudops_vertex/__init__.py": "",
    "cloudops_vertex/container/__init__.py": "",
    "cloudops_vertex/container/gcs.py": "gcs.py",
    "cloudops_vertex/container/sync.py": "sync.py",
}
#: Likewise of a replica.
SERVING_FILES = {
    "inference.py": "inference.py",
    "cloudops_vertex/__init__.py": "",
    "cloudops_vertex/container/__init__.py": "",
    "cloudops_vertex/container/gcs.py": "gcs.py",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)


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


@functools.cache
def container_file(name: str) -> bytes:
    """A file of :mod:`cloudops_vertex.container`."""
    return (_FOLDER / name).read_bytes()


@functools.cache
def stub(name: str = "stub.py") -> str:
    """The program in a container's arguments, which fetches and starts the rest; without comments and docstrings."""
    tree = ast.parse(container_file(name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return f"{ast.unparse(tree)}\n"


def job_archive(files: Mapping[str, bytes]) -> bytes:
    """What the stub of a job fetches: ``files``, the runtime and the container's own, as a zip."""
    return _archive(files, JOB_FILES)


def serving_archive(files: Mapping[str, bytes]) -> bytes:
    """What the stub of a replica fetches, likewise."""
    return _archive(files, SERVING_FILES)


def _archive(files: Mapping[str, bytes], own: Mapping[str, str]) -> bytes:
    """A zip; the same bytes for the same content."""
    name, runtime = runtime_archive()
    ours = {path: container_file(each) if each else b"" for path, each in own.items()}
    everything = {**files, name: runtime, **ours}
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in sorted(everything.items()):
            archive.writestr(zipfile.ZipInfo(each, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return sink.getvalue()
