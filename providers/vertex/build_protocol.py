"""Compiles the published .proto files of Vertex AI to the descriptors that the emulator reads.

    python providers/vertex/build_protocol.py

needs npm, grpcio-tools and googleapis-common-protos. The files come from the npm package of Google's own client, which
is the one that holds all of them, under the Apache License 2.0.
"""

from __future__ import annotations

import gzip
import importlib.util
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@google-cloud/aiplatform@7.4.0"
VERSIONS = ("v1", "v1beta1")
TARGET = Path(__file__).parent / "cloudops_vertex" / "emulator" / "protocol" / "descriptors.binpb.gz"


def main() -> None:
    """Fetch, compile, and write the descriptors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packed = subprocess.run(
            ["npm", "pack", PACKAGE, "--silent"], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        with tarfile.open(folder / packed) as archive:
            archive.extractall(folder, filter="data")
        TARGET.write_bytes(gzip.compress(_compiled(folder / "package" / "build" / "protos", folder), 9, mtime=0))


def _compiled(root: Path, folder: Path) -> bytes:
    """The descriptor set of all services, with all that they import."""
    import grpc_tools
    from grpc_tools import protoc

    common = _folder("google.api").parents[1]
    # Python's package has this file under another name, for its own module has the original one.
    operations = folder / "more" / "google" / "longrunning" / "operations.proto"
    operations.parent.mkdir(parents=True)
    shutil.copy(common / "google" / "longrunning" / "operations_proto.proto", operations)
    includes = [root, folder / "more", common, Path(grpc_tools.__file__).parent / "_proto"]
    files = sorted(
        str(path.relative_to(root))
        for version in VERSIONS
        for path in (root / "google" / "cloud" / "aiplatform" / version).glob("*.proto")
    )
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
