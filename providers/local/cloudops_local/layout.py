"""Where the local provider keeps things, all below the project's ``.cloudops/local``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class JobFolder:
    """The folder of one job."""

    path: Path

    @property
    def code(self) -> Path:
        """The unpacked code, the job's working directory."""
        return self.path / "code"

    @property
    def model(self) -> Path:
        """``CLOUDOPS_MODEL_DIR``."""
        return self.path / "model"

    @property
    def output(self) -> Path:
        """``CLOUDOPS_OUTPUT_DIR``."""
        return self.path / "output"

    @property
    def inputs(self) -> Path:
        """Inputs that are not plain paths are staged here."""
        return self.path / "inputs"

    @property
    def run(self) -> Path:
        """The engine's: state, logs, metrics."""
        return self.path / "run"

    @property
    def contract(self) -> Path:
        """The job as the runtime reads it."""
        return self.path / "job.json"

    @property
    def lineage(self) -> Path:
        """Where the model comes from, beside the model."""
        return self.path / "lineage.json"

    def named_output(self, name: str) -> Path:
        """``CLOUDOPS_OUTPUT_<NAME>``."""
        return self.path / "outputs" / name


@dataclass(frozen=True)
class Layout:
    """The folders of one project."""

    root: Path

    @property
    def base(self) -> Path:
        """The provider's own folder."""
        return self.root / ".cloudops" / "local"

    @property
    def database(self) -> Path:
        """The index of jobs and endpoints."""
        return self.base / "state.db"

    @property
    def store(self) -> Path:
        """Where the core keeps packed code and what it knows of the digests of files."""
        return self.root / ".cloudops" / "store"

    @property
    def runtime(self) -> Path:
        """Where the runtime archive is written."""
        return self.base / "runtime"

    def job(self, name: str) -> JobFolder:
        """The folder of the job ``name``."""
        return JobFolder(self.base / "jobs" / name)

    def checkpoints(self, key: str) -> Path:
        """``CLOUDOPS_CHECKPOINT_DIR`` of the jobs that share ``key``."""
        return self.base / "checkpoints" / key

    def endpoint(self, name: str) -> Path:
        """The engine's folder of the endpoint ``name``."""
        return self.base / "endpoints" / name

    def owner(self, endpoint: str) -> Path:
        """Whose endpoint it is, beside what the engine keeps: the index is made of it again where it was lost."""
        return self.endpoint(endpoint) / "owner.json"

    def versions(self, endpoint: str) -> Path:
        """What the versions of an endpoint serve, a folder for each."""
        return self.base / "served" / endpoint

    def version(self, endpoint: str, version: str) -> Path:
        """What a version of an endpoint serves: ``model`` and ``code``."""
        return self.versions(endpoint) / version


def cache() -> Path:
    """Where isolated environments and downloads are kept for all projects of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "cloudops"
