"""Packs the runtime as one file that any Python 3.9 runs: ``cloudops_runtime-<digest>.pyz``. Host only.

The file is both a program (``python cloudops_runtime-....pyz serve``) and an entry for ``PYTHONPATH``
(``from cloudops.runtime import log_metric``). A ``cloudops`` that is installed beside it stays importable.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

_PACKAGE = Path(__file__).parent
_HOST_ONLY = {Path(__file__).name}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold

_MAIN = """\
import sys

from cloudops.runtime.main import main

sys.exit(main())
"""

# The archive's `cloudops` hides an installed one. Its submodules are found through the extended path; its own names
# are those of the installed `__init__`, which runs when the first of them is asked for.
_INIT = '''\
"""cloudops as a job sees it: the runtime, and whatever of cloudops is installed here."""

import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)


def __getattr__(name):
    import os
    import sys

    for folder in list(__path__)[1:]:
        source = os.path.join(folder, "__init__.py")
        if os.path.isfile(source):
            globals().pop("__getattr__", None)
            with open(source, encoding="utf-8") as file:
                exec(compile(file.read(), source, "exec"), globals())
            return getattr(sys.modules[__name__], name)
    raise AttributeError("module 'cloudops' has no attribute %r" % name)
'''


def build(target_dir: Path) -> Path:
    """The runtime's archive in ``target_dir``, written there unless it exists, and its path.

    Its bytes and name depend on nothing but the runtime's source. Several processes may do this at once.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    files = _files()
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    target = target_dir / f"cloudops_runtime-{digest.hexdigest()[:12]}.pyz"
    if not target.exists():
        target_dir.mkdir(parents=True, exist_ok=True)
        _write(target, files)
    return target


def _files() -> dict[str, bytes]:
    """Path in the archive -> content, in the order of the archive."""
    found = {
        f"cloudops/runtime/{path.relative_to(_PACKAGE).as_posix()}": path.read_bytes()
        for path in _PACKAGE.rglob("*.py")
        if path.name not in _HOST_ONLY
    }
    found["__main__.py"] = _MAIN.encode()
    found["cloudops/__init__.py"] = _INIT.encode()
    return dict(sorted(found.items()))


def _write(target: Path, files: dict[str, bytes]) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        # Stored, not compressed: smaller would be slower to import, and zlib's output differs between versions.
        with os.fdopen(descriptor, "wb") as sink, zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
            for name, content in files.items():
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                archive.writestr(entry, content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
