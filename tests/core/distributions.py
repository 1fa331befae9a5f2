"""Distributions as an installer leaves them: a package and a ``.dist-info`` folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    folder: Path, name: str, version: str, *, points: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]
) -> None:
    """Put a distribution into ``folder``.

    Args:
        folder: a folder of the import path.
        name: the distribution's name.
        version: its version.
        points: entry-point group to name to value.
        modules: module to its source.
    """
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in group_points.items())
        for group, group_points in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)


PROVIDER = """
from cloudops.hookspecs import hookimpl
from cloudops.provider import ProviderInfo

@hookimpl
def cloudops_provider():
    return ProviderInfo("{name}", "A test.", "{module}:create", "{module}:T", "{module}:O", "{module}:capabilities")

def create(context):
    return ("created", context)
"""
