"""``requirements.txt`` beside the user's script, installed as the toolkits do.

The container's own ``pip`` installs into a layer of the container, so the interpreter that stands for the image is not
changed. Standard library only, Python 3.9.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def install(code_dir: Path) -> None:
    """Have the requirements of ``code_dir`` importable.

    Raises:
        ValueError: they cannot be installed; what pip said is in the log.
    """
    path = code_dir / "requirements.txt"
    if not path.is_file():
        return
    sys.stdout.write("installing packages from requirements.txt...\n")
    sys.stdout.flush()
    if subprocess.call([sys.executable, "-m", "pip", "install", "-r", str(path)]):
        raise ValueError("failed to install required packages")
