"""Compiles the published .proto files of Vertex AI, and of what surrounds it, to descriptors that the emulator reads.

    python providers/vertex/build_protocol.py

needs npm, grpcio-tools, googleapis-common-protos and grpc-google-iam-v1. The files come from the npm packages of
Google's own clients, which are the ones that hold all of them, under the Apache License 2.0.
"""

from __future__ import annotations

import gzip
import importlib.util
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Packages of npm, and the files of each that are compiled, with all that they import.
SOURCES = {
    "@google-cloud/aiplatform@7.4.0": (
        "google/cloud/aiplatform/v1/*.proto",
        "google/cloud/aiplatform/v1beta1/*.proto",
    ),
    "@google-cloud/logging-api@0.3.0": ("google/logging/v2/logging.proto",),
    "@google-cloud/monitoring@6.1.1": ("google/monitoring/v3/metric_service.proto",),
    "@google-cloud/resource-manager@6.3.0": ("google/cloud/resourcemanager/v3/projects.proto",),
}
TARGET = Path(__file__).parent / "cloudops_vertex" / "emulator" / "protocol" / "descriptors.binpb.gz"


def main() -> None:
    """Fetch, compile, and write the descriptors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        roots = {_fetched(package, folder / str(number)): patterns for number, (package, patterns) in _numbered()}
        TARGET.write_bytes(gzip.compress(_compiled(roots, folder), 9, mtime=0))


def _numbered() -> enumerate[tuple[str, tuple[str, ...]]]:
    return enumerate(SOURCES.items())


def _fetched(package: str, folder: Path) -> Path:
    """The folder with the .proto files of a package."""
    folder.mkdir()
    packed = subprocess.run(
        ["npm", "pack", package, "--silent"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    with tarfile.open(folder / packed) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "build" / "protos"


def _compiled(roots: Mapping[Path, Sequence[str]], folder: Path) -> bytes:
    """The descriptor set of all services, with all that they import."""
    import grpc_tools
    from grpc_tools import protoc

    common = _folder("google.api").parents[1]
    # Python's package has this file under another name, for its own module has the original one.
    operations = folder / "more" / "google" / "longrunning" / "operations.proto"
    operations.parent.mkdir(parents=True)
    shutil.copy(common / "google" / "longrunning" / "operations_proto.proto", operations)
    iam = _folder("google.iam.v1").parents[2]
    includes = [*roots, folder / "more", common, iam, Path(grpc_tools.__file__).parent / "_proto"]
    files = [
        str(path.relative_to(root))
        for root, patterns in roots.items()
        for pattern in patterns
        for path in sorted(root.glob(pattern))
    ]
    if len(files) < sum(map(len, roots.values())):
        raise SystemExit("a package has no .proto file where one is looked for")
    target = folder / "descriptors.binpb"
    options = [f"-I{include}" for include in includes]
    if protoc.main(["protoc", *options, "--include_imports", f"--descriptor_set_out={target}", *files]):
        raise SystemExit("the .proto files do not compile; see above")
    return target.read_bytes()


def _folder(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


if __name__ == "__main__":
    main()
