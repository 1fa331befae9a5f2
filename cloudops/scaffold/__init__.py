"""Makes a new project: the files beside this one, with the project's name filled in."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from cloudops.errors import ConfigError
from cloudops.yamlfile import printable

_FILES = {
    "cloudops.yaml": "cloudops.yaml.txt",
    "src/train.py": "train.py.txt",
    "src/evaluate.py": "evaluate.py.txt",
    "src/predictor.py": "predictor.py.txt",
    ".gitignore": "gitignore.txt",
}


def scaffold(folder: Path, name: str | None = None) -> list[Path]:
    """Write a project that runs into ``folder``; returns the files.

    Raises:
        ConfigError: a file is there already (nothing is written then), the name cannot be one, or the folder cannot
            be written.
    """
    try:
        return _scaffold(folder, name)
    except OSError as error:
        message = f"no project can be made in {printable(str(folder))}: {error.strerror}"
        raise ConfigError(message, hint="name a folder that can be written: cloudops init FOLDER") from error


def _scaffold(folder: Path, name: str | None) -> list[Path]:
    chosen = name or _from_folder(folder.absolute().name)
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", chosen):
        raise ConfigError(f"{chosen!r} cannot name a project", hint="use a-z, 0-9 and '-', a letter first")
    targets = {folder / path: source for path, source in _FILES.items()}
    for path in targets:
        if path.exists() and path.name != ".gitignore":
            raise ConfigError(f"{path} exists already", hint="choose another folder; nothing was written")
    written = []
    for path, source in targets.items():
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        text = resources.files(__package__).joinpath("files", source).read_text(encoding="utf-8")
        path.write_text(text.replace("@NAME@", chosen), encoding="utf-8")
        written.append(path)
    return written


def _from_folder(name: str) -> str:
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32].rstrip("-")
    return cleaned if cleaned[:1].isalpha() else f"project-{cleaned}"[:32].rstrip("-")
